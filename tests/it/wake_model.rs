//! Every order in which writers and listeners can take their steps, looked through: no listener sleeps on an event that
//! nobody tells it of. The steps are those of `live.listener_sleeps()`, `store/sleep.rs` and `live/listener.rs`; tests of the
//! real thing are in `wake.rs`. Rules left out one by one show that this would find their lack.

use std::collections::HashSet;

const WRITERS: usize = 3;
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
}

/// One update's transaction, by the step that it has taken last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Asked { notifies: bool },
    Visible { notifies: bool },
    Unlocked { notifies: bool },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sleeper {
    Ourselves,
    Another,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Awake,
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
    /// Who holds the lock exclusively.
    sleeper: Option<usize>,
    /// Who has died so far.
    deaths: usize,
}

impl State {
    const START: Self = Self {
        writers: [Writer::Idle; WRITERS],
        listeners: [Listener { mode: Mode::Awake, seen: 0, hears: false, hears_of_rising: false }; LISTENERS],
        sleeper: None,
        deaths: 0,
    };

    fn visible(&self) -> u8 {
        let is_visible =
            |writer: &Writer| matches!(writer, Writer::Visible { .. } | Writer::Unlocked { .. } | Writer::Done);
        (0..WRITERS).filter(|n| is_visible(&self.writers[*n])).map(|n| 1 << n).sum()
    }

    fn is_shared(&self, without: Option<Rule>) -> bool {
        self.writers.iter().any(|writer| match writer {
            Writer::Asked { notifies: false } => without != Some(Rule::LockUntilVisible),
            Writer::Visible { notifies: false } => true,
            _ => false,
        })
    }

    /// What asking for the lock tells the listener: whose sleep it may share, or nobody's.
    fn try_sleep(&mut self, listener: usize, without: Option<Rule>) -> Option<Sleeper> {
        match self.sleeper {
            Some(other) if other != listener => Some(Sleeper::Another),
            _ if self.is_shared(without) && without != Some(Rule::LockToSleep) => None,
            _ => {
                self.sleeper = Some(listener);
                Some(Sleeper::Ourselves)
            }
        }
    }

    /// Every state that one step leads to.
    fn next(&self, without: Option<Rule>) -> Vec<Self> {
        let mut next = Vec::new();
        (0..WRITERS).for_each(|writer| next.extend(self.write(writer)));
        (0..LISTENERS).for_each(|listener| next.extend(self.listen(listener, without)));
        next
    }

    fn write(&self, writer: usize) -> Option<Self> {
        let mut state = *self;
        state.writers[writer] = match self.writers[writer] {
            Writer::Idle => Writer::Asked { notifies: self.sleeper.is_some() },
            Writer::Asked { notifies } => Writer::Visible { notifies },
            Writer::Visible { notifies } => Writer::Unlocked { notifies },
            Writer::Unlocked { notifies } => {
                state.listeners.iter_mut().for_each(|listener| listener.hears |= notifies);
                Writer::Done
            }
            Writer::Done => return None,
        };
        Some(state)
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
        let mut next = match before.mode {
            Mode::Awake => vec![
                step(&|state| {
                    state.listeners[number].hears_of_rising = false;
                    take_and_read(state);
                }),
                step(&|state| {
                    if let Some(sleeper) = state.try_sleep(number, without) {
                        into(state, Mode::FallingAsleep(sleeper));
                    }
                }),
            ],
            Mode::FallingAsleep(sleeper) => vec![step(&|state| {
                if without != Some(Rule::ReadOnceMore) {
                    read(state);
                }
                into(state, Mode::Asleep(sleeper));
            })],
            Mode::Asleep(Sleeper::Ourselves) if before.hears => vec![
                step(&take_and_read),
                step(&|state| {
                    state.sleeper = None;
                    into(state, Mode::Rising);
                }),
            ],
            Mode::Asleep(Sleeper::Another) if before.hears_of_rising => vec![step(&|state| {
                let mode = state.try_sleep(number, without).map_or(Mode::Awake, Mode::FallingAsleep);
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
        if before.mode != Mode::Dead && self.deaths + 1 < LISTENERS {
            next.push(step(&|state| {
                state.deaths += 1;
                state.sleeper = state.sleeper.filter(|sleeper| *sleeper != number);
                into(state, Mode::Dead);
            }));
        }
        next
    }

    /// A listener that nobody will wake, and that does not know all that is to be seen. Who sleeps along looks after the
    /// sleeper now and then, as one that dies says nothing; while all live it need not.
    fn is_unheard(&self) -> bool {
        let quiet = self.writers.iter().all(|writer| matches!(writer, Writer::Idle | Writer::Done));
        quiet
            && self.listeners.iter().all(|listener| listener.mode != Mode::Rising)
            && self.listeners.iter().any(|listener| {
                let sleeps = match listener.mode {
                    Mode::Asleep(Sleeper::Ourselves) => true,
                    Mode::Asleep(Sleeper::Another) => self.deaths == 0,
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
        if state.is_unheard() {
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
    for rule in [Rule::LockUntilVisible, Rule::LockToSleep, Rule::ReadOnceMore, Rule::TellOfRising] {
        assert!(explore(Some(rule)).is_err(), "{rule:?} is not needed");
    }
}
