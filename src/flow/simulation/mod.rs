//! A simulation: the real flow and the real lanes under a virtual clock, before a model of a store and models of receivers,
//! with faults drawn from a seed. Each schedule is some applications and endpoints, messages over seconds or hours, what
//! people do meanwhile, and what goes wrong; when all is quiet, what must hold is checked.
//!
//! `POSTRIDER_SEED=…` runs that one schedule, and shows its plan. `POSTRIDER_SCHEDULES=…` runs so many for each test.

mod check;
mod dice;
mod driver;
mod forgotten;
mod order;
mod payloads;
mod people;
mod plan;
mod receiver;
mod referee;
mod replays;
mod store;
mod unanswered;

use driver::Driver;
use plan::Plan;
use std::{collections::BTreeMap, env, fmt::Write as _};

/// Schedules of each test.
const SCHEDULES: u64 = 2510;
/// Schedules that fail before a test gives up.
const ENOUGH: u64 = 5;
/// Distance between the seeds of two tests.
const APART: u64 = 1 << 32;

/// What came of a schedule.
#[derive(Default)]
struct Ended {
    faults: Vec<String>,
    plan: Option<Plan>,
    counts: BTreeMap<&'static str, u64>,
}

fn run(seed: u64) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::new(seed);
        driver.run().await;
        let mut counts = driver.shared.counts.lock().clone();
        counts.insert("messages accepted", driver.acknowledged.lock().len() as u64);
        counts.insert("attempts", driver.referee.seen.lock().sent.len() as u64);
        Ended { faults: driver.faults(), plan: Some(driver.plan), counts }
    })
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn run_all(test: u64) {
    if let Some(seed) = number("POSTRIDER_SEED") {
        let ended = run(seed);
        println!("{:#?}\n{:#?}", ended.plan, ended.counts);
        assert!(ended.faults.is_empty(), "seed {seed}:\n{}", ended.faults.join("\n"));
        return;
    }
    let first = test * APART;
    let schedules = number("POSTRIDER_SCHEDULES").unwrap_or(SCHEDULES);
    let (mut failed, mut counts) = (0, BTreeMap::<&'static str, u64>::new());
    for seed in first..first + schedules {
        let ended = run(seed);
        if !ended.faults.is_empty() {
            failed += 1;
            println!("schedule {}: POSTRIDER_SEED={seed} runs it alone:\n{}", seed - first + 1, ended.faults.join("\n"));
            assert!(failed < ENOUGH, "{failed} schedules failed");
        }
        ended.counts.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
    }
    let mut told = format!("simulation: {schedules} schedules from seed {first}");
    counts.iter().for_each(|(what, count)| write!(told, "; {what}: {count}").unwrap());
    println!("{told}");
    assert!(failed == 0, "{failed} schedules failed");
}

#[test]
fn schedules_hold_one() {
    run_all(1);
}

#[test]
fn schedules_hold_two() {
    run_all(2);
}

#[test]
fn schedules_hold_three() {
    run_all(3);
}

#[test]
fn schedules_hold_four() {
    run_all(4);
}
