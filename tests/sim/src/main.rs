//! `relais-sim`: simulated devices of a site.

fn main() {}
