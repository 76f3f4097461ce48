//! What one run of Home Assistant (HA), or its folder, has and no other one.

use smol_str::SmolStr;

/// Ids of states that entities have: HA makes a new one for each state, and none is made twice. Those of the states
/// that are the oldest, since some of them stay while others change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(Box<[SmolStr]>);

impl RunId {
    /// That of a run which has these states; none where there is no state.
    pub fn new(states: impl IntoIterator<Item = SmolStr>) -> Option<Self> {
        let states: Box<[SmolStr]> = states.into_iter().collect();
        (!states.is_empty()).then_some(Self(states))
    }

    /// Whether both are of one run, though they may have been asked for at different times.
    pub fn is_of_same_run(&self, other: &Self) -> bool {
        self.0.iter().any(|state| other.0.contains(state))
    }
}
