//! What became of the records of one chain, and what of it a record is still to tell.
//!
//! What was given up is told by a record, which may be given up itself: then it is to be told again. Until such a record is
//! acknowledged, what it tells of does not count as settled.

use audit_chain::Mark;

use crate::notice::Notice;
use crate::untold::{Range, Untold};

/// What a record tells of other records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// A VM ended without notice, and what follows `acknowledged` may be lost; so many records are.
    Restart { acknowledged: u64, records: u64 },
    /// They were given up before they had a number.
    Unsealed { records: u64, reason: &'static str },
    /// They were sealed and then given up.
    Dropped(Range),
}

impl Matter {
    pub fn notice(&self) -> Notice<'static> {
        match *self {
            Self::Restart { records, .. } => Notice::Restart { records },
            Self::Unsealed { records, reason } => Notice::Dropped { records, reason },
            Self::Dropped(Range {
                records, reason, ..
            }) => Notice::Dropped { records, reason },
        }
    }

    pub fn mark(&self) -> Mark {
        match *self {
            Self::Restart { .. } => Mark::Restart,
            Self::Unsealed { .. } => Mark::None,
            Self::Dropped(Range { first, last, .. }) => Mark::Dropped { first, last },
        }
    }

    /// The last record before those that it tells of.
    fn before(&self) -> u64 {
        match *self {
            Self::Restart { acknowledged, .. } => acknowledged,
            Self::Unsealed { .. } => u64::MAX,
            Self::Dropped(Range { first, .. }) => first - 1,
        }
    }
}

/// How it stands with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Acknowledged or given up.
    Settled,
    /// Only this VM has it.
    Held,
    /// The proxy has it, and is about to write it.
    Written,
}

/// Records that follow one another and stand alike.
#[derive(Clone, Copy)]
struct Run {
    standing: Standing,
    records: u64,
}

/// The records of one chain.
#[derive(Default)]
pub struct Account {
    /// Records from the first one that is neither acknowledged nor given up, in runs: one that stays open for ever costs
    /// nothing for all that come behind it.
    open: Vec<Run>,
    /// How many these are.
    opened: u64,
    /// How many of them only this VM has.
    held: u64,
    restart: Option<Matter>,
    unsealed: Vec<(u64, &'static str)>,
    untold: Untold,
    /// Records on their way that tell of others.
    told: Vec<(u64, Matter)>,
}

impl Account {
    /// The chain has one more record. `is_written`: it does not end with this VM.
    #[inline]
    pub fn sealed(&mut self, is_written: bool) {
        let standing = match is_written {
            true => Standing::Written,
            false => Standing::Held,
        };
        self.push(standing, 1);
        self.opened += 1;
        self.held += u64::from(!is_written);
    }

    /// Records that are lost if the VM ends now.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether nothing is on its way, and nothing is to be told.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.told.is_empty() && self.next().is_none()
    }

    /// What is to be told next.
    pub fn next(&self) -> Option<Matter> {
        let unsealed = self.unsealed.first();
        let unsealed = unsealed.map(|&(records, reason)| Matter::Unsealed { records, reason });
        let dropped = || self.untold.first().map(Matter::Dropped);
        self.restart.or(unsealed).or_else(dropped)
    }

    /// That is to be told, too.
    pub fn add(&mut self, matter: Matter) {
        match matter {
            Matter::Restart { .. } => self.restart = Some(matter),
            Matter::Unsealed { records, reason } => {
                let known = self.unsealed.iter_mut().find(|(_, why)| *why == reason);
                match known {
                    Some((count, _)) => *count += records,
                    None => self.unsealed.push((records, reason)),
                }
            }
            Matter::Dropped(range) => self.untold.add(range),
        }
    }

    /// The record with that number, which was just sealed, tells of it.
    pub fn tells(&mut self, seq: u64, matter: Matter) {
        match matter {
            Matter::Restart { .. } => self.restart = None,
            Matter::Unsealed { reason, .. } => self.unsealed.retain(|(_, why)| *why != reason),
            Matter::Dropped(range) => self.untold.remove(range),
        }
        self.told.push((seq, matter));
    }

    /// A record is acknowledged. `last`: that of the chain.
    #[inline]
    pub fn acknowledge(&mut self, seq: u64, last: u64) {
        self.settle(seq, last);
        if !self.told.is_empty() {
            self.told.retain(|(teller, _)| *teller != seq);
        }
    }

    /// A record is given up.
    pub fn give_up(&mut self, seq: u64, last: u64, reason: &'static str) {
        if !self.settle(seq, last) {
            return;
        }
        self.untold.add(Range::whole(seq, seq, reason));
        if let Some(at) = self.told.iter().position(|(teller, _)| *teller == seq) {
            let (_, matter) = self.told.swap_remove(at);
            self.add(matter);
        }
    }

    /// Whether it was open.
    #[inline]
    fn settle(&mut self, seq: u64, last: u64) -> bool {
        let Some(at) = seq.checked_sub(last + 1 - self.opened) else {
            return false;
        };
        let Some(standing) = self.settle_at(at) else {
            return false;
        };
        self.held -= u64::from(standing == Standing::Held);
        while let Some(run) = self.open.first()
            && run.standing == Standing::Settled
        {
            self.opened -= run.records;
            self.open.remove(0);
        }
        true
    }

    /// How the record stood that so many others stand before, unless it is settled.
    #[inline]
    fn settle_at(&mut self, mut before: u64) -> Option<Standing> {
        // Nearly always it is the first one.
        if before == 0
            && let Some(first) = self.open.first_mut()
        {
            first.records -= 1;
            self.opened -= 1;
            let standing = first.standing;
            if first.records == 0 {
                self.open.remove(0);
            }
            return Some(standing);
        }
        let mut at = 0;
        let run = loop {
            let run = *self.open.get(at)?;
            if before < run.records {
                break run;
            }
            before -= run.records;
            at += 1;
        };
        if run.standing == Standing::Settled {
            return None;
        }
        self.cut(at, run, before);
        Some(run.standing)
    }

    /// Settles the record of that run which so many others of it stand before.
    #[inline(never)]
    fn cut(&mut self, at: usize, run: Run, before: u64) {
        for (number, one) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if number == at {
                self.push(run.standing, before);
                self.push(Standing::Settled, 1);
                self.push(run.standing, run.records - before - 1);
            } else {
                self.push(one.standing, one.records);
            }
        }
    }

    /// So many more that stand like this.
    #[inline]
    fn push(&mut self, standing: Standing, records: u64) {
        match self.open.last_mut() {
            Some(run) if run.standing == standing => run.records += records,
            _ if records > 0 => self.open.push(Run { standing, records }),
            _ => {}
        }
    }

    /// Up to which record a sink has everything, or was told that it is missing.
    #[inline]
    pub fn acknowledged(&self, last: u64) -> u64 {
        let settled = last - self.opened;
        if self.restart.is_none() && self.told.is_empty() && self.untold.first().is_none() {
            return settled;
        }
        let untold = self.untold.first().map(Matter::Dropped);
        let told = self.told.iter().map(|(_, matter)| *matter);
        let matters = told.chain(untold).chain(self.restart);
        matters
            .map(|matter| matter.before())
            .fold(settled, u64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sealed(records: u64) -> Account {
        let mut account = Account::default();
        for _ in 0..records {
            account.sealed(false);
        }
        account
    }

    #[test]
    fn acknowledged_is_what_has_no_gap_before_it() {
        let mut account = sealed(5);
        for (seqs, acknowledged) in [
            (vec![2, 3], 0),
            (vec![1], 3),
            (vec![5, 9, 0, 5], 3),
            (vec![4], 5),
        ] {
            for seq in seqs {
                account.acknowledge(seq, 5);
            }
            assert_eq!(account.acknowledged(5), acknowledged);
        }
        assert!(account.is_settled() && account.held() == 0);
    }

    #[test]
    fn one_that_stays_open_costs_nothing_for_those_behind_it() {
        let mut account = sealed(4);
        account.acknowledge(1, 4);
        account.acknowledge(3, 4);
        for last in 5..100_000 {
            account.sealed(false);
            account.acknowledge(last, last);
        }
        assert_eq!((account.acknowledged(99_999), account.held()), (1, 2));
        assert!(account.open.len() < 5, "{}", account.open.len());
        account.give_up(2, 99_999, "refused");
        account.acknowledge(4, 99_999);
        assert_eq!((account.opened, account.held()), (0, 0));
    }

    #[test]
    fn runs_say_what_a_list_of_all_records_would() {
        let mut dice = 1_u64;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) % sides
        };
        for _ in 0..200 {
            let mut account = Account::default();
            let mut all: Vec<Standing> = Vec::new();
            let mut last = 0;
            for _ in 0..200 {
                if roll(2) == 0 {
                    last += 1;
                    let is_written = roll(4) == 0;
                    account.sealed(is_written);
                    all.push(match is_written {
                        true => Standing::Written,
                        false => Standing::Held,
                    });
                } else {
                    // Also such that is settled already, or not there.
                    let seq = roll(last + 3);
                    let known = usize::try_from(seq).unwrap().checked_sub(1);
                    let known = known.and_then(|at| all.get_mut(at));
                    let before = known.map(|known| std::mem::replace(known, Standing::Settled));
                    let was_open = before.is_some_and(|before| before != Standing::Settled);
                    assert_eq!(account.settle(seq, last), was_open);
                }
                let held = all.iter().filter(|one| **one == Standing::Held).count();
                let settled = all.iter().take_while(|one| **one == Standing::Settled);
                assert_eq!(account.held(), held as u64);
                assert_eq!(account.acknowledged(last), settled.count() as u64);
                let runs = account.open.iter().zip(account.open.iter().skip(1));
                assert!(
                    runs.into_iter()
                        .all(|(one, next)| one.standing != next.standing)
                );
            }
        }
    }

    #[test]
    fn what_was_given_up_is_not_acknowledged_before_the_record_that_tells_of_it_is() {
        let mut account = sealed(4);
        account.acknowledge(1, 4);
        account.give_up(2, 4, "overflow");
        account.give_up(3, 4, "overflow");
        account.acknowledge(4, 4);
        assert_eq!((account.acknowledged(4), account.held()), (1, 0));
        let matter = account.next().unwrap();
        assert_eq!(matter, Matter::Dropped(Range::whole(2, 3, "overflow")));
        account.sealed(false);
        account.tells(5, matter);
        assert_eq!((account.acknowledged(5), account.next()), (1, None));
        // The record that tells is given up itself: both are to be told.
        account.give_up(5, 5, "refused");
        assert_eq!(account.next(), Some(matter));
        account.sealed(false);
        account.tells(6, matter);
        let own = account.next().unwrap();
        assert_eq!(own, Matter::Dropped(Range::whole(5, 5, "refused")));
        account.acknowledge(6, 6);
        assert_eq!(account.acknowledged(6), 4);
        assert!(!account.is_settled());
        account.sealed(false);
        account.tells(7, own);
        account.acknowledge(7, 7);
        assert_eq!(account.acknowledged(7), 7);
        assert!(account.is_settled());
    }

    #[test]
    fn a_restart_is_told_first_and_again_if_its_record_is_given_up() {
        let mut account = Account::default();
        let restart = Matter::Restart {
            acknowledged: 3,
            records: 2,
        };
        let unsealed = Matter::Unsealed {
            records: 1,
            reason: "denied",
        };
        account.add(unsealed);
        account.add(unsealed);
        account.add(restart);
        assert_eq!(account.next(), Some(restart));
        account.sealed(false);
        account.tells(6, restart);
        let twice = Matter::Unsealed {
            records: 2,
            reason: "denied",
        };
        assert_eq!(account.next(), Some(twice));
        account.give_up(6, 6, "refused");
        assert_eq!(
            (account.next(), account.acknowledged(6)),
            (Some(restart), 3)
        );
    }
}
