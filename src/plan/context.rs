//! What is known of both sides before anything is decided.

use crate::model::{Desired, DesiredCredential, Live, Observed, Policy};

use super::index::Index;
use super::lost::LostIds;
use super::ownership::Assignment;

pub(super) struct PlanContext<'a> {
    pub(super) desired: &'a Desired,
    pub(super) policy: &'a Policy,
    /// Only where HA runs.
    pub(super) live: Option<&'a Live>,
    pub(super) index: Index<'a>,
    /// The entries whose integration the target has, in the order of their keys.
    pub(super) entries: Vec<&'a DesiredCredential>,
    /// The other entries, in the same order.
    pub(super) of_unknown_integrations: Vec<&'a DesiredCredential>,
    pub(super) assignment: Assignment,
    pub(super) lost_ids: LostIds<'a>,
}

impl<'a> PlanContext<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &'a Observed, policy: &'a Policy) -> Self {
        let index = Index::new(desired, observed);
        let mut entries: Vec<&DesiredCredential> = desired.credentials.iter().collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let (entries, of_unknown_integrations): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| index.takes(&entry.domain, &policy.custom_integrations));
        let assignment = Assignment::new(desired, &entries, &index);
        let lost_ids = LostIds::new(desired, &entries, &assignment, &index);
        let live = observed.live.as_ref();
        Self {
            desired,
            policy,
            live,
            index,
            entries,
            of_unknown_integrations,
            assignment,
            lost_ids,
        }
    }
}
