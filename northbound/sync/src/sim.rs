//! Both ends against each other on one virtual clock: a link that loses, doubles, delays, reorders and cuts; hubs and
//! centrals that are killed; a central that is put back to an older copy; storage that fails; logs that evict.
//!
//! One seed makes one run and replays exactly: `RELAIS_SEED=17 cargo nextest run -p northbound-sync simulation`.
//! `RELAIS_SEEDS` sets how many seeds are run (200 without it).

mod central_end;
mod hub_end;
mod link;
mod random;
mod world;

use random::Random;
use world::{Outcome, World};

const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn run(seed: u64) -> Outcome {
    World::new(Random::new(seed)).run().unwrap_or_else(|what| panic!("RELAIS_SEED={seed}: {what}"))
}

#[test]
fn simulation_of_seeds_brings_everything_across_once() {
    let seeds: Vec<u64> = match number("RELAIS_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("RELAIS_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let mut sum = Outcome::default();
    for seed in &seeds {
        sum.add(&run(*seed));
    }
    println!("{} seeds: {sum:?}", seeds.len());
    if seeds.len() as u64 >= SEEDS {
        sum.assert_that_everything_happened();
    }
}

#[test]
fn simulation_of_a_seed_replays_exactly() {
    for seed in [3, 4, 5] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
