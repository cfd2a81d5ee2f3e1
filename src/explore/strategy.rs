//! Who goes on: the ways to choose among the guests that can run. Pure.
//!
//! A run is a row of choices. A strategy makes them, and the row that it has made is a
//! [`Schedule`]: the same guests under the same schedule do the same again.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The guests that ran, by their numbers, choice after choice.
pub type Schedule = Vec<usize>;

/// Chooses who goes on.
pub trait Strategy: Send {
    /// One of `runnable`, which is sorted and never empty. `last` is who went on before.
    fn choose(&mut self, runnable: &[usize], last: Option<usize>) -> usize;

    /// What is to go wrong with the next operation of the guest that was chosen, of which
    /// this is the number, after so many faults. Nothing by default.
    fn fault(&mut self, _guest: usize, _operation: usize, _faults: usize) -> Option<FaultKind> {
        None
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The guest ends as by SIGKILL. What it created stays; what it holds under `undo` is
    /// given back.
    Kill,
    /// The operation fails, if POSIX lets it fail whatever the program does.
    Error,
}

/// Something that went wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the guest.
    pub guest: usize,
    /// Which of its operations it was, from 0. The beginning of a wait counts as one, too.
    pub operation: usize,
    /// What it was.
    pub kind: FaultKind,
}

/// A strategy with one fault in each run, at a random choice.
pub struct Faulty {
    strategy: Box<dyn Strategy>,
    kind: Option<FaultKind>,
    at: u64,
    choices: u64,
}

impl Faulty {
    /// Runs of about `length` choices, with one of these kinds of faults. The seed is that
    /// of the faults alone.
    pub fn new(strategy: Box<dyn Strategy>, seed: u64, kinds: &[FaultKind], length: u64) -> Self {
        // Other numbers than those of the strategy, which may have the same seed.
        let mut random = StdRng::seed_from_u64(!seed);
        let at = random.random_range(0..length.max(1));
        let kind = match kinds {
            [] => None,
            kinds => Some(kinds[random.random_range(0..kinds.len())]),
        };
        Self {
            strategy,
            kind,
            at,
            choices: 0,
        }
    }
}

impl Strategy for Faulty {
    fn choose(&mut self, runnable: &[usize], last: Option<usize>) -> usize {
        self.choices += 1;
        self.strategy.choose(runnable, last)
    }

    fn fault(&mut self, _: usize, _: usize, faults: usize) -> Option<FaultKind> {
        self.kind.filter(|_| faults == 0 && self.choices > self.at)
    }
}

/// Chooses each guest with the same probability.
pub struct RandomWalk(StdRng);

impl RandomWalk {
    /// The walk of a seed.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Strategy for RandomWalk {
    fn choose(&mut self, runnable: &[usize], _: Option<usize>) -> usize {
        runnable[self.0.random_range(0..runnable.len())]
    }
}

/// Probabilistic concurrency testing: random priorities, which change at `depth - 1` random
/// choices of the run. A bug that takes `d` ordered choices among `k` by `n` guests is found
/// with a probability of at least `1 / (n * k^(d-1))` for each run.
///
/// Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic
/// Guarantees of Finding Bugs", ASPLOS 2010.
pub struct Pct {
    random: StdRng,
    /// By guest; the highest runs. Made at the first choice that a guest takes part in.
    priorities: Vec<Option<u64>>,
    changes: Vec<u64>,
    choices: u64,
}

impl Pct {
    /// Priorities above these are those that guests start with.
    const STARTING: u64 = 1 << 32;

    /// A run of about `length` choices, for bugs of this depth.
    pub fn new(seed: u64, depth: u32, length: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let changes = (1..depth)
            .map(|_| random.random_range(0..length.max(1)))
            .collect();
        Self {
            random,
            priorities: Vec::new(),
            changes,
            choices: 0,
        }
    }

    fn priority(&mut self, guest: usize) -> u64 {
        if self.priorities.len() <= guest {
            self.priorities.resize(guest + 1, None);
        }
        let random = &mut self.random;
        *self.priorities[guest]
            .get_or_insert_with(|| Self::STARTING + u64::from(random.random::<u32>()))
    }
}

impl Strategy for Pct {
    fn choose(&mut self, runnable: &[usize], last: Option<usize>) -> usize {
        // The guest that is about to go on at a point of change falls behind all others.
        let depth = self.changes.len() as u64;
        for change in 0..self.changes.len() {
            if self.changes[change] == self.choices
                && let Some(last) = last
            {
                self.priority(last);
                self.priorities[last] = Some(depth - change as u64);
            }
        }
        self.choices += 1;
        let mut chosen = runnable[0];
        for &guest in runnable {
            if self.priority(guest) > self.priority(chosen) {
                chosen = guest;
            }
        }
        chosen
    }
}

/// Repeats a schedule. A choice that is not possible, and each after its end, is for who
/// went on before, else for the first guest that can run.
pub struct Replay {
    schedule: Schedule,
    faults: Vec<Fault>,
    next: usize,
}

impl Replay {
    /// The repetition of a schedule, or of a part of one.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            faults: Vec::new(),
            next: 0,
        }
    }

    /// With these faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }
}

impl Strategy for Replay {
    fn choose(&mut self, runnable: &[usize], last: Option<usize>) -> usize {
        let wanted = self.schedule.get(self.next).copied();
        self.next += 1;
        wanted
            .into_iter()
            .chain(last)
            .find(|guest| runnable.contains(guest))
            .unwrap_or(runnable[0])
    }

    fn fault(&mut self, guest: usize, operation: usize, _: usize) -> Option<FaultKind> {
        let mut faults = self.faults.iter();
        let fault = faults.find(|fault| (fault.guest, fault.operation) == (guest, operation))?;
        Some(fault.kind)
    }
}

/// Visits every schedule with at most so many preemptions: choices of another guest while
/// the one before could have gone on.
///
/// It is kept from run to run. Each run takes the choices that lead to where the last
/// choice with an alternative was, and from there the next alternative.
pub struct Exhaustive {
    most_preemptions: usize,
    path: Vec<Branch>,
    depth: usize,
}

struct Branch {
    /// Those that are still to be visited, the current one last.
    left: Vec<usize>,
    last: Option<usize>,
    last_is_runnable: bool,
}

impl Branch {
    fn is_preemption(&self) -> bool {
        self.last_is_runnable && self.last != self.left.last().copied()
    }
}

impl Exhaustive {
    /// The first run of them.
    pub fn new(most_preemptions: usize) -> Self {
        Self {
            most_preemptions,
            path: Vec::new(),
            depth: 0,
        }
    }

    /// Goes on to the next schedule. False if there is none.
    pub fn advance(&mut self) -> bool {
        self.depth = 0;
        while let Some(branch) = self.path.last_mut() {
            branch.left.pop();
            if !branch.left.is_empty() {
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn preemptions(&self) -> usize {
        let taken = &self.path[..self.depth.min(self.path.len())];
        taken.iter().filter(|branch| branch.is_preemption()).count()
    }
}

impl Strategy for Exhaustive {
    fn choose(&mut self, runnable: &[usize], last: Option<usize>) -> usize {
        if self.depth == self.path.len() {
            let last_is_runnable = last.is_some_and(|last| runnable.contains(&last));
            let may_preempt = self.preemptions() < self.most_preemptions;
            let left: Vec<usize> = match last {
                Some(last) if last_is_runnable && !may_preempt => vec![last],
                // Whoever went on before goes first: few switches come before many.
                Some(last) if last_is_runnable => runnable
                    .iter()
                    .rev()
                    .copied()
                    .filter(|&guest| guest != last)
                    .chain([last])
                    .collect(),
                _ => runnable.iter().rev().copied().collect(),
            };
            self.path.push(Branch {
                left,
                last,
                last_is_runnable,
            });
        }
        let chosen = self.path[self.depth].left.last().copied();
        self.depth += 1;
        chosen.unwrap_or(runnable[0])
    }
}

/// How often a schedule turns to another guest.
pub fn switches(schedule: &[usize]) -> usize {
    schedule
        .windows(2)
        .filter(|pair| pair[0] != pair[1])
        .count()
}

/// Schedules that are simpler than this one, the simplest first: with a row of choices of
/// one guest given to the guest before it, and with the end cut off.
pub fn simpler(schedule: &[usize]) -> Vec<Schedule> {
    let mut found = Vec::new();
    let mut length = schedule.len() / 2;
    while length > 0 {
        found.push(schedule[..schedule.len() - length].to_vec());
        length /= 2;
    }
    let mut start = 0;
    while start < schedule.len() {
        let guest = schedule[start];
        let end = schedule[start..]
            .iter()
            .position(|&other| other != guest)
            .map_or(schedule.len(), |length| start + length);
        if start > 0 {
            let mut joined = schedule.to_vec();
            joined[start..end].fill(schedule[start - 1]);
            found.push(joined);
            // The same choices, later.
            if end < schedule.len() {
                let mut later = schedule[..start].to_vec();
                let next = schedule[end..]
                    .iter()
                    .position(|&other| other == guest)
                    .map_or(schedule.len(), |at| end + at);
                later.extend(&schedule[end..next]);
                later.extend(&schedule[start..end]);
                later.extend(&schedule[next..]);
                found.push(later);
            }
        }
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Guests that each make some choices, none of which keeps another from running.
    fn run(strategy: &mut dyn Strategy, choices: &[usize]) -> Schedule {
        let mut left = choices.to_vec();
        let mut schedule: Schedule = Vec::new();
        loop {
            let runnable: Vec<usize> = (0..left.len()).filter(|&guest| left[guest] > 0).collect();
            if runnable.is_empty() {
                return schedule;
            }
            let chosen = strategy.choose(&runnable, schedule.last().copied());
            left[chosen] -= 1;
            schedule.push(chosen);
        }
    }

    fn visit_all(choices: &[usize], most_preemptions: usize) -> usize {
        let mut strategy = Exhaustive::new(most_preemptions);
        let mut seen = BTreeSet::new();
        loop {
            assert!(seen.insert(run(&mut strategy, choices)), "visited twice");
            if !strategy.advance() {
                return seen.len();
            }
        }
    }

    /// The multinomial coefficient counts the orders of independent steps.
    #[test]
    fn every_order_is_visited_once() {
        assert_eq!(visit_all(&[2, 2], usize::MAX), 6);
        assert_eq!(visit_all(&[3, 3], usize::MAX), 20);
        assert_eq!(visit_all(&[2, 2, 2], usize::MAX), 90);
        assert_eq!(visit_all(&[0, 1], usize::MAX), 1);
    }

    /// Of two guests with two steps each: AABB and BBAA take no preemption; ABBA and BAAB
    /// take one, ABAB and BABA too, since the last switch but one leaves a guest that could
    /// have gone on.
    #[test]
    fn preemptions_are_bounded() {
        assert_eq!(visit_all(&[2, 2], 0), 2);
        assert_eq!(visit_all(&[2, 2], 1), 4);
        assert_eq!(visit_all(&[2, 2], 2), 6);
    }

    #[test]
    fn a_seed_makes_the_same_choices_each_time() {
        for seed in 0..50 {
            let walk = || run(&mut RandomWalk::new(seed), &[5, 5, 5]);
            assert_eq!(walk(), walk());
            let pct = || run(&mut Pct::new(seed, 3, 15), &[5, 5, 5]);
            assert_eq!(pct(), pct());
        }
        let schedules: BTreeSet<_> = (0..50)
            .map(|seed| run(&mut RandomWalk::new(seed), &[5, 5, 5]))
            .collect();
        assert!(schedules.len() > 40);
    }

    /// Depth 1 has no change of priorities: each guest runs to its end.
    #[test]
    fn pct_switches_as_often_as_its_depth_says() {
        for seed in 0..50 {
            for depth in 1..5 {
                let schedule = run(&mut Pct::new(seed, depth, 15), &[5, 5, 5]);
                assert!(switches(&schedule) <= 2 + 2 * (depth as usize - 1));
            }
        }
    }

    #[test]
    fn a_schedule_is_repeated_and_a_part_of_it_goes_on_simply() {
        let schedule = vec![1, 0, 1, 0];
        assert_eq!(run(&mut Replay::new(schedule.clone()), &[2, 2]), schedule);
        assert_eq!(run(&mut Replay::new(vec![1, 0]), &[2, 2]), [1, 0, 0, 1]);
        assert_eq!(run(&mut Replay::new(vec![7]), &[2, 1]), [0, 0, 1]);
    }

    #[test]
    fn simpler_schedules_have_no_more_choices_than_the_given_one() {
        let schedule = vec![0, 0, 1, 0, 1, 1, 2];
        for other in simpler(&schedule) {
            assert!(other.len() <= schedule.len());
            assert_ne!(other, schedule);
        }
    }
}
