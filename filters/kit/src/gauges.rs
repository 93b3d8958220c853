//! What one VM holds of the proxy's gauges, kept in shared data: gauges outlive a VM, so that another one takes it out of them
//! once the VM is gone without having done so.

use crate::slots::{self, Host, SECOND, Slot, Watch};

const NAME: &[u8] = b"gauges";

/// What a VM holds, by the gauges' full names.
#[derive(Debug, Default)]
pub struct Gauges {
    held: Vec<(Box<str>, i64)>,
    slot: Option<Slot>,
    kept_at: u64,
    /// When a slot was asked for in vain.
    asked_at: Option<u64>,
    watch: Watch,
}

impl Gauges {
    /// This VM moved a gauge by that much. `adjust` moves a gauge.
    #[inline(never)]
    pub fn hold(
        &mut self,
        gauge: &str,
        by: i64,
        now: u64,
        host: &dyn Host,
        adjust: &mut dyn FnMut(&str, i64),
    ) {
        if slots::is_in_doubt(self.kept_at, now) {
            self.renew(now, host, adjust);
        }
        match self.held.iter_mut().find(|(known, _)| **known == *gauge) {
            Some((_, held)) => *held = held.saturating_add(by),
            None => self.held.push((gauge.into(), by)),
        }
        self.keep(now, host);
    }

    fn keep(&mut self, now: u64, host: &dyn Host) {
        if self.slot.is_none() {
            // Where there is none, requests must not look for one again and again.
            if self.asked_at.is_some_and(|at| now.abs_diff(at) < SECOND) {
                return;
            }
            // What one before had there was taken out.
            self.slot = slots::take(NAME, now, host).map(|(slot, _)| slot);
            self.asked_at = self.slot.is_none().then_some(now);
        }
        self.kept_at = now;
        if let Some(slot) = &mut self.slot {
            slot.write(now, &[&written(&self.held)], host);
        }
    }

    /// After a silence: another VM may have taken this one for gone, and its share out of the gauges.
    fn renew(&mut self, now: u64, host: &dyn Host, adjust: &mut dyn FnMut(&str, i64)) {
        let Some(slot) = &mut self.slot else {
            return;
        };
        self.kept_at = now;
        if !slot.renew(now, &[&written(&self.held)], host) {
            self.slot = None;
            for (gauge, held) in self.held.iter().filter(|(_, held)| *held != 0) {
                adjust(gauge, *held);
            }
            self.keep(now, host);
        }
    }

    /// Shows that this VM lives, and looks after those that do not: `adjust` moves a gauge. Call it on every tick.
    #[inline(never)]
    pub fn tick(&mut self, now: u64, host: &dyn Host, adjust: &mut dyn FnMut(&str, i64)) {
        if now.abs_diff(self.kept_at) >= SECOND {
            self.renew(now, host, adjust);
        }
        for (mut slot, state) in self.watch.look(NAME, now, host) {
            for (gauge, held) in read(&state) {
                adjust(gauge, held.saturating_neg());
            }
            slot.leave(&[], host);
        }
    }
}

/// Each gauge that holds anything: the length of its name, the name, and how much.
fn written(held: &[(Box<str>, i64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (gauge, held) in held.iter().filter(|(_, held)| *held != 0) {
        if let Ok(length) = u16::try_from(gauge.len()) {
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(gauge.as_bytes());
            out.extend_from_slice(&held.to_le_bytes());
        }
    }
    out
}

fn read(mut state: &[u8]) -> Vec<(&str, i64)> {
    let mut all = Vec::new();
    while let Some((entry, rest)) = next(state) {
        all.push(entry);
        state = rest;
    }
    all
}

fn next(state: &[u8]) -> Option<((&str, i64), &[u8])> {
    let (length, rest) = state.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let (held, rest) = rest.split_first_chunk()?;
    let name = std::str::from_utf8(name).ok()?;
    Some(((name, i64::from_le_bytes(*held)), rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::exchange::Clock as _;
    use crate::testing::{FakeWorker, Names};

    /// The proxy's gauges.
    #[derive(Default)]
    struct Proxy(BTreeMap<String, i64>);

    impl Proxy {
        fn hold(&mut self, vm: &mut Gauges, gauge: &str, by: i64, host: &FakeWorker) {
            *self.0.entry(gauge.to_owned()).or_default() += by;
            vm.hold(gauge, by, host.now(), host, &mut |gauge, by| {
                *self.0.entry(gauge.to_owned()).or_default() += by;
            });
        }

        fn tick(&mut self, vm: &mut Gauges, host: &FakeWorker) {
            vm.tick(host.now(), host, &mut |gauge, by| {
                *self.0.entry(gauge.to_owned()).or_default() += by;
            });
        }

        fn shown(&self) -> Vec<(&str, i64)> {
            let all = self.0.iter().filter(|(_, value)| **value != 0);
            all.map(|(name, value)| (name.as_str(), *value)).collect()
        }
    }

    #[test]
    fn what_a_vm_held_that_is_gone_is_taken_out_once_and_what_others_hold_is_not() {
        let host = FakeWorker::new(&Names::default());
        let mut proxy = Proxy::default();
        let mut lively = [Gauges::default(), Gauges::default(), Gauges::default()];
        let mut gone = Gauges::default();
        for vm in &mut lively[..2] {
            proxy.hold(vm, "down", 1, &host);
        }
        proxy.hold(&mut gone, "down", 1, &host);
        proxy.hold(&mut gone, "queued", 7, &host);
        proxy.hold(&mut gone, "queued", -2, &host);
        assert_eq!(proxy.shown(), [("down", 3), ("queued", 5)]);
        for _ in 0..60 {
            host.pass_ms(500);
            for vm in &mut lively {
                proxy.tick(vm, &host);
            }
        }
        assert_eq!(proxy.shown(), [("down", 2)]);
        proxy.hold(&mut lively[0], "down", -1, &host);
        assert_eq!(proxy.shown(), [("down", 1)]);
        // It was only stopped, and moves a gauge before it looks around.
        proxy.hold(&mut gone, "queued", -1, &host);
        assert_eq!(proxy.shown(), [("down", 2), ("queued", 4)]);
        proxy.tick(&mut gone, &host);
        proxy.hold(&mut gone, "queued", -4, &host);
        proxy.hold(&mut gone, "down", -1, &host);
        assert_eq!(proxy.shown(), [("down", 1)]);
        assert!(host.shared.keys() <= 4, "slots are used again");
    }

    #[test]
    fn a_vm_that_holds_nothing_has_no_slot() {
        let host = FakeWorker::new(&Names::default());
        let mut vm = Gauges::default();
        for _ in 0..30 {
            host.pass_ms(1000);
            vm.tick(host.now(), &host, &mut |_, _| panic!("nothing to take out"));
        }
        assert_eq!(host.shared.keys(), 0);
    }

    #[test]
    fn without_a_slot_gauges_are_held_and_none_is_looked_for_again_and_again() {
        let host = FakeWorker::new(&Names::default());
        host.shared.set_broken(true);
        let mut vm = Gauges::default();
        let asked = std::cell::Cell::new(0);
        struct Counted<'a>(&'a FakeWorker, &'a std::cell::Cell<u32>);
        impl crate::exchange::SharedData for Counted<'_> {
            fn shared(
                &self,
                key: &[u8],
            ) -> Result<Option<(Vec<u8>, crate::exchange::Version)>, crate::exchange::NotWritten>
            {
                self.1.set(self.1.get() + 1);
                self.0.shared(key)
            }
            fn share(
                &self,
                key: &[u8],
                value: &[u8],
                version: crate::exchange::Version,
            ) -> Result<(), crate::exchange::NotWritten> {
                self.0.share(key, value, version)
            }
        }
        impl crate::exchange::Randomness for Counted<'_> {
            fn fill(&self, out: &mut [u8]) {
                self.0.fill(out);
            }
        }
        let counted = Counted(&host, &asked);
        for _ in 0..100 {
            vm.hold("queued", 1, host.now(), &counted, &mut |_, _| {});
        }
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn a_state_that_is_cut_short_gives_what_is_whole() {
        let state = written(&[("a".into(), -1), ("b".into(), 0), ("c".into(), 3)]);
        assert_eq!(read(&state), [("a", -1), ("c", 3)]);
        for cut in 0..state.len() {
            assert!(read(&state[..cut]).len() < 2);
        }
    }
}
