//! relais-hub
fn main() {}
