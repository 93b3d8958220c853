//! Records that go to the sinks together.

use std::cmp::Ordering;

use super::settings::Ack;
use super::sink::Seen;

/// How far a batch is with one sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It is to be sent, for the first time or again.
    #[default]
    Pending,
    InFlight,
    Acknowledged,
    /// The sink will not take it as it is; `content`: but perhaps a part of it.
    Refused {
        content: bool,
    },
    /// Where all sinks must acknowledge: this one never will.
    GivenUp,
}

/// A batch's way to one sink.
#[derive(Clone, Debug, Default)]
pub struct Leg {
    pub progress: Progress,
    /// How often it was sent.
    pub attempts: u32,
    /// How often it failed by itself: the sink was well before.
    pub failures: u32,
    /// How often of these while the sink took others, less how often while it failed others, too.
    pub strikes: u32,
    /// It is sent before any other.
    pub is_next: bool,
    /// Where the sink stood when it failed last.
    pub seen: Seen,
    /// Not sent again before this time.
    pub not_before: u64,
}

/// After so many strikes each a batch is sent before any other.
const STRIKES_TO_NEXT: u32 = 8;

impl Leg {
    /// It failed at a sink that was well before; `seen` is what that sink did until then. Whether it is to be sent again before
    /// any other: where one of two servers behind a sink is ill, what comes second might always meet that one.
    pub fn strike(&mut self, seen: Seen) -> bool {
        match seen.since(self.seen) {
            Ordering::Greater => {
                self.strikes += 1;
                self.is_next = self.strikes.is_multiple_of(STRIKES_TO_NEXT);
            }
            Ordering::Equal => {}
            // It is the sink that ails.
            Ordering::Less => self.strikes = self.strikes.saturating_sub(1),
        }
        self.is_next
    }

    /// The same for a part of the records: what is suspected of the whole is suspected of each part.
    fn anew(&self) -> Self {
        Self {
            progress: Progress::Pending,
            attempts: 0,
            not_before: 0,
            ..self.clone()
        }
    }
}

/// Records that go to the sinks together.
#[derive(Debug)]
pub struct Batch<R> {
    pub id: u32,
    pub records: Vec<R>,
    /// One for each sink.
    pub legs: Vec<Leg>,
    /// How many of them a sink that took the batch did not take.
    pub rejected: u64,
}

/// What is to become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided yet.
    Wait,
    Acknowledged,
    /// Refused, but parts of it may pass.
    Split,
    /// Refused for good.
    Drop,
}

impl<R> Batch<R> {
    pub fn new(id: u32, records: Vec<R>, sinks: usize) -> Self {
        Self {
            id,
            records,
            legs: vec![Leg::default(); sinks],
            rejected: 0,
        }
    }

    pub fn is_in_flight(&self) -> bool {
        let flies = |leg: &Leg| leg.progress == Progress::InFlight;
        self.legs.iter().any(flies)
    }

    /// What its progress with each sink comes to.
    pub fn judge(&mut self, ack: Ack) -> Verdict {
        let is = |progress| move |leg: &Leg| leg.progress == progress;
        let refused = |leg: &Leg| matches!(leg.progress, Progress::Refused { .. });
        if ack == Ack::Any && self.legs.iter().any(is(Progress::Acknowledged)) {
            return Verdict::Acknowledged;
        }
        if self.is_in_flight() {
            return Verdict::Wait;
        }
        // Not once all have answered: one that is down for long would hold up what this one takes.
        let in_parts = is(Progress::Refused { content: true });
        if self.records.len() > 1 && self.legs.iter().any(in_parts) {
            return Verdict::Split;
        }
        if ack == Ack::Any && self.legs.iter().all(refused) {
            return Verdict::Drop;
        }
        if ack == Ack::Any {
            return Verdict::Wait;
        }
        for leg in self.legs.iter_mut().filter(|leg| refused(leg)) {
            leg.progress = Progress::GivenUp;
        }
        let done = |leg: &Leg| matches!(leg.progress, Progress::Acknowledged | Progress::GivenUp);
        match self.legs.iter().all(done) {
            false => Verdict::Wait,
            true if self.legs.iter().any(is(Progress::GivenUp)) => Verdict::Drop,
            true => Verdict::Acknowledged,
        }
    }

    /// Takes the second half out, as a batch of its own. Whoever may take a part is asked for each half.
    pub fn split(&mut self, id: u32) -> Self {
        for leg in &mut self.legs {
            if leg.progress == (Progress::Refused { content: true }) {
                *leg = leg.anew();
            }
        }
        let records = self.records.split_off(self.records.len() / 2);
        // Which ones another sink did not take, nobody knows; their number stays.
        let ours = self.rejected.min(self.records.len() as u64);
        let theirs = self.rejected - ours;
        self.rejected = ours;
        Self {
            id,
            records,
            legs: self.legs.clone(),
            rejected: theirs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Progress = Progress::Refused { content: true };
    const WHOLE: Progress = Progress::Refused { content: false };

    fn judge(ack: Ack, records: usize, legs: &[Progress]) -> Verdict {
        let mut batch = Batch::new(1, vec![(); records], legs.len());
        for (leg, progress) in batch.legs.iter_mut().zip(legs) {
            leg.progress = *progress;
        }
        batch.judge(ack)
    }

    #[test]
    fn any_takes_the_first_acknowledgement_and_gives_up_when_all_refuse() {
        use Progress::{Acknowledged, InFlight, Pending};
        for (legs, expected) in [
            (&[Acknowledged, InFlight][..], Verdict::Acknowledged),
            (&[Pending, Acknowledged], Verdict::Acknowledged),
            (&[CONTENT, InFlight], Verdict::Wait),
            (&[WHOLE, Pending], Verdict::Wait),
            (&[CONTENT, Pending], Verdict::Split),
            (&[CONTENT, CONTENT], Verdict::Split),
            (&[CONTENT, WHOLE], Verdict::Split),
            (&[WHOLE], Verdict::Drop),
        ] {
            assert_eq!(judge(Ack::Any, 2, legs), expected, "{legs:?}");
        }
        for (legs, expected) in [
            ([CONTENT, Pending], Verdict::Wait),
            ([CONTENT, CONTENT], Verdict::Drop),
            ([CONTENT, WHOLE], Verdict::Drop),
        ] {
            assert_eq!(judge(Ack::Any, 1, &legs), expected, "{legs:?}");
        }
    }

    #[test]
    fn all_waits_for_each_and_keeps_what_one_acknowledged() {
        use Progress::{Acknowledged, InFlight, Pending};
        for (legs, expected) in [
            (&[Acknowledged, Acknowledged][..], Verdict::Acknowledged),
            (&[Acknowledged, Pending], Verdict::Wait),
            (&[CONTENT, InFlight], Verdict::Wait),
            (&[CONTENT, Acknowledged], Verdict::Split),
            (&[WHOLE, Acknowledged], Verdict::Drop),
            (&[WHOLE, Pending], Verdict::Wait),
        ] {
            assert_eq!(judge(Ack::All, 2, legs), expected, "{legs:?}");
        }
        let mut batch = Batch::new(1, vec![1, 2, 3], 2);
        batch.legs[0].progress = CONTENT;
        batch.legs[1].progress = Acknowledged;
        let rest = batch.split(2);
        assert_eq!((batch.records, rest.records), (vec![1], vec![2, 3]));
        for legs in [batch.legs, rest.legs] {
            assert_eq!(
                (legs[0].progress, legs[1].progress),
                (Pending, Acknowledged)
            );
        }
    }
}
