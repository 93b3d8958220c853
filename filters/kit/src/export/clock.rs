//! A clock that never steps back, made of one that may.

/// Waiting times are told on it: with the wall clock alone, a step back would stretch them by the step.
#[derive(Debug, Default)]
pub struct Steady {
    last: u64,
    time: u64,
}

impl Steady {
    /// The time by the wall clock's reading. Nanoseconds; only differences mean something.
    pub fn at(&mut self, wall: u64) -> u64 {
        if self.time == 0 {
            self.time = wall.max(1);
        } else {
            self.time = self.time.saturating_add(wall.saturating_sub(self.last));
        }
        self.last = wall;
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_of_the_wall_clock_costs_no_time() {
        let mut steady = Steady::default();
        let start = steady.at(1000);
        assert_eq!(steady.at(1500) - start, 500);
        assert_eq!(steady.at(10) - start, 500);
        assert_eq!(steady.at(30) - start, 520);
    }
}
