//! relais.

fn main() {}
