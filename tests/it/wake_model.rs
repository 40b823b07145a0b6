//! Every order in which writers and listeners can take their steps, looked through: no listener sleeps on an event that
//! nobody tells it of. The steps are those of `live.listener_sleeps()`, `store/tail/sleep.rs` and `live/listener.rs`; tests of the
//! real thing are in `wake.rs`. Rules left out one by one show that this would find their lack.
//!
//! One listener dies, or its lease ends as its machine stood still, or a stranger takes the sleep lock. That a lease is
//! of a certain time, so that a transaction can outlast it, is left out: the periodic read is for that.

use std::collections::HashSet;

const WRITERS: usize = 2;
const LISTENERS: usize = 2;

/// A rule of the protocol that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A writer that is not told to notify keeps its shared lock until its event is visible.
    LockUntilVisible,
    /// A listener sleeps only if it gets the lock, so that no such writer is left.
    LockToSleep,
    /// Having it, it reads once more.
    ReadOnceMore,
    /// Whoever rises says so to those who sleep along.
    TellOfRising,
    /// A writer that finds the lock taken and no lease keeps the lease's lock until its event is visible.
    LeaseUntilVisible,
    /// A listener sleeps only if it gets the lease as well.
    LeaseToSleep,
    /// A listener whose lease has ended rises.
    RiseWithoutLease,
}

/// One update's transaction, by the step that it has taken last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// It found the sleep lock taken.
    Refused,
    Asked(Told),
    Visible(Told),
    Unlocked(Told),
    Done,
}

/// What a writer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    ToNotify,
    /// Nobody sleeps: it shares the sleep lock.
    NotTo,
    /// Whoever has the sleep lock has no lease: it shares the lease's lock.
    NotToBelieve,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sleeper {
    Ourselves,
    Another,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Awake,
    /// Has the sleep lock, and not the lease yet.
    Locked,
    /// May sleep, after one more read.
    FallingAsleep(Sleeper),
    Asleep(Sleeper),
    /// Has given the lock back; that it rose is not told yet.
    Rising,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Listener {
    mode: Mode,
    /// The events it has read, as bits.
    seen: u8,
    /// A notification waits.
    hears: bool,
    /// A word that another rose waits.
    hears_of_rising: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    writers: [Writer; WRITERS],
    listeners: [Listener; LISTENERS],
    /// Who holds the lock exclusively: a listener, or [`STRANGER`].
    sleeper: Option<usize>,
    /// Who has the lease.
    leaseholder: Option<usize>,
    /// Who has died so far.
    deaths: usize,
    /// Leases that have ended so far.
    lapses: usize,
    /// How often the stranger has come.
    visits: usize,
}

const STRANGER: usize = LISTENERS;

impl State {
    const START: Self = Self {
        writers: [Writer::Idle; WRITERS],
        listeners: [Listener { mode: Mode::Awake, seen: 0, hears: false, hears_of_rising: false }; LISTENERS],
        sleeper: None,
        leaseholder: None,
        deaths: 0,
        lapses: 0,
        visits: 0,
    };

    /// One in each run: a listener dies, or stands still, or the stranger comes.
    fn mishaps(&self) -> usize {
        self.deaths + self.lapses + self.visits
    }

    fn visible(&self) -> u8 {
        let is_visible = |writer: &Writer| matches!(writer, Writer::Visible(_) | Writer::Unlocked(_) | Writer::Done);
        (0..WRITERS).filter(|n| is_visible(&self.writers[*n])).map(|n| 1 << n).sum()
    }

    /// Whether a writer shares the lock of those who are told this.
    fn is_shared(&self, told: Told, without: Option<Rule>) -> bool {
        let kept = if told == Told::NotTo { Rule::LockUntilVisible } else { Rule::LeaseUntilVisible };
        self.writers.iter().any(|writer| match writer {
            Writer::Asked(asked) => *asked == told && without != Some(kept),
            Writer::Visible(asked) => *asked == told,
            _ => false,
        })
    }

    /// Every state that one step leads to.
    fn next(&self, without: Option<Rule>) -> Vec<Self> {
        let mut next = Vec::new();
        (0..WRITERS).for_each(|writer| next.extend(self.write(writer)));
        (0..LISTENERS).for_each(|listener| next.extend(self.listen(listener, without)));
        if self.mishaps() == 0 && self.sleeper.is_none() && !self.is_shared(Told::NotTo, without) {
            next.push(Self { sleeper: Some(STRANGER), visits: 1, ..*self });
        }
        if self.sleeper == Some(STRANGER) {
            next.push(Self { sleeper: None, ..*self });
        }
        if self.mishaps() == 0 && self.leaseholder.is_some() {
            next.push(Self { leaseholder: None, lapses: 1, ..*self });
        }
        next
    }

    fn write(&self, writer: usize) -> Option<Self> {
        let mut state = *self;
        state.writers[writer] = match self.writers[writer] {
            Writer::Idle if self.sleeper.is_some() => Writer::Refused,
            Writer::Idle => Writer::Asked(Told::NotTo),
            Writer::Refused if self.leaseholder.is_some() => Writer::Asked(Told::ToNotify),
            Writer::Refused => Writer::Asked(Told::NotToBelieve),
            Writer::Asked(told) => Writer::Visible(told),
            Writer::Visible(told) => Writer::Unlocked(told),
            Writer::Unlocked(told) => {
                state.listeners.iter_mut().for_each(|listener| listener.hears |= told == Told::ToNotify);
                Writer::Done
            }
            Writer::Done => return None,
        };
        Some(state)
    }

    /// Asks for the lock: what the listener's mode is then.
    fn try_sleep(&mut self, listener: usize, without: Option<Rule>) -> Mode {
        match self.sleeper {
            Some(other) if other != listener => match self.leaseholder {
                Some(_) => Mode::FallingAsleep(Sleeper::Another),
                None => Mode::Awake,
            },
            _ if self.is_shared(Told::NotTo, without) && without != Some(Rule::LockToSleep) => Mode::Awake,
            _ => {
                self.sleeper = Some(listener);
                Mode::Locked
            }
        }
    }

    /// Asks for the lease: what the listener's mode is then.
    fn take_lease(&mut self, listener: usize, without: Option<Rule>) -> Mode {
        let is_taken = self.leaseholder.is_some() || self.is_shared(Told::NotToBelieve, without);
        if is_taken && without != Some(Rule::LeaseToSleep) {
            self.sleeper = None;
            return Mode::Awake;
        }
        self.leaseholder = Some(listener);
        Mode::FallingAsleep(Sleeper::Ourselves)
    }

    fn let_go(&mut self, listener: usize) {
        self.sleeper = self.sleeper.filter(|sleeper| *sleeper != listener);
        self.leaseholder = self.leaseholder.filter(|holder| *holder != listener);
    }

    fn listen(&self, number: usize, without: Option<Rule>) -> Vec<Self> {
        let before = self.listeners[number];
        let step = |change: &dyn Fn(&mut Self)| {
            let mut state = *self;
            change(&mut state);
            state
        };
        let read = |state: &mut Self| state.listeners[number].seen = state.visible();
        let take_and_read = |state: &mut Self| {
            state.listeners[number].hears = false;
            read(state);
        };
        let into = |state: &mut Self, mode: Mode| state.listeners[number].mode = mode;
        let rise = |state: &mut Self| {
            state.let_go(number);
            into(state, Mode::Rising);
        };
        let mut next = match before.mode {
            Mode::Awake => vec![
                step(&|state| {
                    state.listeners[number].hears_of_rising = false;
                    take_and_read(state);
                }),
                step(&|state| {
                    let mode = state.try_sleep(number, without);
                    into(state, mode);
                }),
            ],
            Mode::Locked => vec![step(&|state| {
                let mode = state.take_lease(number, without);
                into(state, mode);
            })],
            Mode::FallingAsleep(sleeper) => vec![step(&|state| {
                if without != Some(Rule::ReadOnceMore) {
                    read(state);
                }
                into(state, Mode::Asleep(sleeper));
            })],
            Mode::Asleep(Sleeper::Ourselves)
                if self.leaseholder != Some(number) && without != Some(Rule::RiseWithoutLease) =>
            {
                vec![step(&rise)]
            }
            Mode::Asleep(Sleeper::Ourselves) if before.hears => vec![step(&take_and_read), step(&rise)],
            Mode::Asleep(Sleeper::Another) if before.hears_of_rising => vec![step(&|state| {
                let mode = state.try_sleep(number, without);
                into(state, mode);
                state.listeners[number].hears_of_rising = false;
            })],
            Mode::Asleep(Sleeper::Another) if before.hears => vec![step(&take_and_read)],
            Mode::Rising => vec![step(&|state| {
                into(state, Mode::Awake);
                let told = without != Some(Rule::TellOfRising);
                let others = state.listeners.iter_mut().enumerate().filter(|(other, _)| *other != number);
                others.for_each(|(_, listener)| listener.hears_of_rising |= told);
            })],
            Mode::Asleep(_) | Mode::Dead => Vec::new(),
        };
        if before.mode != Mode::Dead && self.mishaps() == 0 {
            next.push(step(&|state| {
                state.deaths += 1;
                state.let_go(number);
                into(state, Mode::Dead);
            }));
        }
        next
    }

    /// A listener that nobody will wake, and that does not know all that is to be seen. Who sleeps along looks after the
    /// sleeper now and then, as one that dies, or stands still, says nothing; one whose
    /// lease has ended finds that out by itself.
    fn is_unheard(&self, without: Option<Rule>) -> bool {
        let quiet = self.writers.iter().all(|writer| matches!(writer, Writer::Idle | Writer::Done));
        quiet
            && self.listeners.iter().all(|listener| listener.mode != Mode::Rising)
            && self.listeners.iter().enumerate().any(|(number, listener)| {
                let sleeps = match listener.mode {
                    Mode::Asleep(Sleeper::Ourselves) => {
                        self.leaseholder == Some(number) || without == Some(Rule::RiseWithoutLease)
                    }
                    Mode::Asleep(Sleeper::Another) => self.deaths == 0 && self.lapses == 0,
                    _ => false,
                };
                sleeps && !listener.hears && !listener.hears_of_rising && listener.seen != self.visible()
            })
    }
}

/// How many states there are, or the first in which an event goes unheard.
fn explore(without: Option<Rule>) -> Result<usize, State> {
    let mut known = HashSet::from([State::START]);
    let mut open = vec![State::START];
    while let Some(state) = open.pop() {
        if state.is_unheard(without) {
            return Err(state);
        }
        open.extend(state.next(without).into_iter().filter(|next| known.insert(*next)));
    }
    Ok(known.len())
}

#[test]
fn no_event_goes_unheard_in_any_order_of_steps() {
    let states = explore(None).unwrap_or_else(|state| panic!("unheard: {state:#?}"));
    assert!(states > 10_000, "only {states} states were looked at");
}

#[test]
fn without_any_one_of_its_rules_it_would() {
    for rule in [
        Rule::LockUntilVisible,
        Rule::LockToSleep,
        Rule::ReadOnceMore,
        Rule::TellOfRising,
        Rule::LeaseUntilVisible,
        Rule::LeaseToSleep,
        Rule::RiseWithoutLease,
    ] {
        assert!(explore(Some(rule)).is_err(), "{rule:?} is not needed");
    }
}
