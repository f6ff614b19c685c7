//! `make bench`: what hub, agent and page cost and what the hub carries, beside a reference measured in the same run.
//!
//! Prints one table: figure, ours, reference, ratio, budget. Rounds of ours and of the reference take turns, and
//! medians are shown. Nothing here fails because of a time: a budget missed is a row to talk about.

mod agent_process;
mod hub_process;
mod intake;
mod load;
mod log;
mod measure;
mod page;
mod reopen;
mod small_commits;
mod sqlite;
mod table;

use std::path::PathBuf;

use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, folder, batches] = arguments.as_slice()
        && command == reopen::FILL
    {
        let batches = batches.parse().expect("a number of batches");
        return reopen::fill_until_killed(&PathBuf::from(folder), batches);
    }
    if arguments == ["versions"] {
        return eprintln!("SQLite {}, journal_mode=WAL, synchronous=FULL", rusqlite::version());
    }
    let folder = site_tests::target_dir().join("bench");
    std::fs::create_dir_all(&folder).expect("target/bench can be made");
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|a| a == name);
    let mut table = Table::default();
    if wanted("intake") {
        intake::measure(&folder, &mut table);
    }
    if wanted("commits") {
        small_commits::measure(&folder, &mut table);
    }
    if wanted("reopen") {
        reopen::measure(&folder, &mut table);
    }
    if wanted("hub") {
        hub_process::measure(&folder, &mut table);
    }
    if wanted("agent") {
        agent_process::measure(&mut table);
    }
    if wanted("page") {
        page::measure(&mut table);
    }
    table.show_and_save(&folder.join("results.txt"));
}
