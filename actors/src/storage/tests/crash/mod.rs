//! The crash contract (docs/durability.md), shown for every change that Storage makes to the file system.
//!
//! A workload runs once while a recorder in the seam notes each write, sync and rename, and each request as it begins and is
//! acknowledged. Then the plug is pulled in front of every single one of these changes: from the notes come the states that the
//! disk could be in (`disk_model`), each is opened, and it must hold exactly what was acknowledged, with what was under
//! way done whole or not at all (`oracle`). Changes also fail: with EIO, a full device, half a write, a sync that did not happen.
//!
//! `CRASH_ROUNDS` repeats all of it with other seeds (`make crash`).

mod client;
mod disk_model;
mod events;
mod faults;
mod oracle;
mod power_loss;
mod recorder;
mod replicas;
mod sealed;
mod uploads;
mod versions;
mod workload;

/// How often the tests are repeated, each time with other random choices.
fn rounds() -> u64 {
    std::env::var("CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A seed that a failure names.
fn seed(round: u64) -> u64 {
    let base = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok());
    base.unwrap_or_else(|| getrandom::u64().unwrap()).wrapping_add(round)
}

/// Random choices from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Choices(pub u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
