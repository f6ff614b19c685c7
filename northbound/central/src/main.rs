//! relais-central.

fn main() {}
