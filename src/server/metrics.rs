//! Numbers for Prometheus, made from the status when they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use jiff::civil::Date;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::codes::{CauseCode, EntryCode};
use crate::model::{Lifetime, UndoneWave, begin_of};
use crate::status::{
    AccessFault, BUCKETS, ClientCheck, Durations, Link, RolloutStatus, Status, TargetStatus,
};

use super::{ServerState, answer};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(server): State<ServerState>) -> Response {
    let made = server.metrics.of(&server.status(), |status| {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Numbers(Arc::clone(status))));
        let mut text = String::new();
        let written = prometheus_text::encode(&mut text, &registry);
        written.map(|()| Bytes::from(text)).map_err(|why| why.to_string())
    });
    answer(made, CONTENT_TYPE)
}

#[derive(Debug)]
struct Numbers(Arc<Status>);

impl Numbers {
    /// One number for each target, where there is one.
    fn by_target<'a, N>(
        &'a self,
        number: impl Fn(&'a TargetStatus) -> Option<N>,
    ) -> impl Iterator<Item = ([(&'static str, &'a str); 1], N)> {
        let targets = self.0.targets.iter();
        targets
            .filter_map(move |(name, target)| Some(([("target", name.as_str())], number(target)?)))
    }

    fn of_targets(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        out.gauges(
            "appcred_target_up",
            "Whether the target is connected: it can be reached and accepts the access token",
            None,
            self.by_target(|target| {
                let is_watched = target.link != Link::Suspended;
                is_watched.then(|| i64::from(target.is_connected()))
            }),
        )?;
        out.gauges(
            "appcred_target_suspended",
            "Whether the target is suspended: it is not connected to, and nothing is done there",
            None,
            self.by_target(|target| Some(i64::from(target.link == Link::Suspended))),
        )?;
        let is_refused = |link: &Link| match link {
            Link::NoAccess { why, .. } => *why != AccessFault::Other,
            Link::Up { .. } | Link::Down { .. } | Link::Connecting | Link::Suspended => false,
        };
        out.gauges(
            "appcred_token_refused",
            "Whether the target refuses the access token, or it is not an administrator's",
            None,
            self.by_target(|target| Some(i64::from(is_refused(&target.link)))),
        )?;
        out.gauges(
            "appcred_differences",
            "Differences at the target that stay for now",
            None,
            self.by_target(|target| Some(number(target.differences.len()))),
        )?;
        out.gauges(
            "appcred_pending_consents",
            "Accounts that wait for a person's consent",
            None,
            self.by_target(|target| Some(number(target.pending_consents().count()))),
        )?;
        out.gauges(
            "appcred_last_success_timestamp",
            "When the target was last found or brought in sync",
            Some(&Unit::Seconds),
            self.by_target(|target| Some(target.last_success?.as_second())),
        )
    }

    /// What targets hold. Only of those that are connected: of others it is not known.
    fn of_holdings(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let connected = || {
            let targets = self.0.targets.iter().map(|(name, target)| (name.as_str(), target));
            targets.filter(|(_, target)| target.is_connected() && target.last_reconcile.is_some())
        };
        let entries = connected().flat_map(|(name, target)| {
            EntryCode::ALL.iter().map(move |code| {
                let of_it = target.entries.iter().filter(|entry| entry.holding.code() == *code);
                ([("target", name), ("credential", code.as_str())], number(of_it.count()))
            })
        });
        out.gauges(
            "appcred_entries",
            "Entries by how the target holds their credentials",
            None,
            entries,
        )?;
        let unmanaged = connected().flat_map(|(name, target)| {
            [("none", target.foreign), ("other", target.of_other_owners)]
                .map(|(owner, count)| ([("target", name), ("owner", owner)], number(count)))
        });
        out.gauges(
            "appcred_unmanaged_credentials",
            "Credentials at the target that have no owner, or another one",
            None,
            unmanaged,
        )
    }

    /// The dates that entries have. No number goes with the day: alerts compare with the time.
    fn of_dates(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        type Of = fn(&Lifetime) -> Option<Date>;
        let families: [(&str, &str, Of); 2] = [
            (
                "appcred_credential_expiration_timestamp",
                "When the client expires, as its entry says",
                |lifetime| lifetime.expires,
            ),
            (
                "appcred_credential_rotation_timestamp",
                "When the secret is to be replaced, as its entry says",
                |lifetime| lifetime.rotate_after,
            ),
        ];
        for (name, help, of) in families {
            let dates = self.0.targets.iter().flat_map(|(target, status)| {
                status.entries.iter().filter_map(move |entry| {
                    let begin = begin_of(of(&entry.lifetime)?)?.as_second();
                    let (target, key, domain) =
                        (target.as_str(), entry.key.as_str(), entry.domain.as_str());
                    Some(([("target", target), ("key", key), ("domain", domain)], begin))
                })
            });
            out.gauges(name, help, Some(&Unit::Seconds), dates)?;
        }
        Ok(())
    }

    /// What providers say of clients of which they are asked regularly.
    fn of_clients(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let clients = || {
            self.0.targets.iter().flat_map(|(target, status)| {
                status.entries.iter().filter_map(move |entry| {
                    let check = status.clients.get(&entry.key)?;
                    let labels = [
                        ("target", target.as_str()),
                        ("key", entry.key.as_str()),
                        ("domain", entry.domain.as_str()),
                    ];
                    Some((labels, check))
                })
            })
        };
        out.gauges(
            "appcred_client_accepted",
            "Whether the provider accepts the client, by its last clear answer",
            None,
            clients().filter_map(|(labels, check)| Some((labels, i64::from(check.is_accepted()?)))),
        )?;
        out.gauges(
            "appcred_client_checked_timestamp",
            "When the provider gave that answer",
            Some(&Unit::Seconds),
            clients().filter_map(|(labels, check)| match check {
                ClientCheck::Said { at, .. } if check.is_clear() => Some((labels, at.as_second())),
                _ => None,
            }),
        )
    }

    /// Linked accounts that do not run, or that Home Assistant asks for consent to again.
    fn of_accounts(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let mut down: BTreeMap<(&str, CauseCode), usize> = BTreeMap::new();
        for (target, status) in &self.0.targets {
            let set_ups = status.entries.iter().flat_map(|entry| &entry.set_ups);
            for trouble in set_ups.filter_map(|set_up| set_up.trouble.as_ref()) {
                *down.entry((target.as_str(), trouble.cause())).or_default() += 1;
            }
        }
        out.gauges(
            "appcred_accounts_down",
            "Linked accounts that do not run or need consent again, by the most likely cause",
            None,
            down.iter().map(|((target, cause), count)| {
                ([("target", *target), ("cause", cause.as_str())], number(*count))
            }),
        )
    }

    fn of_totals(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let targets = || self.0.targets.iter().map(|(name, target)| (name.as_str(), target));
        let looks = targets().flat_map(|(name, target)| {
            let totals = &target.totals;
            [("success", totals.succeeded), ("failure", totals.failed)]
                .map(|(result, count)| ([("target", name), ("result", result)], count))
        });
        out.counters("appcred_reconciles", "Rounds at the target by how they ended", looks)?;
        let steps = targets().flat_map(|(name, target)| {
            target.totals.steps.iter().map(move |((action, outcome), count)| {
                (
                    [("target", name), ("action", action.as_str()), ("result", outcome.as_str())],
                    *count,
                )
            })
        });
        out.counters("appcred_actions", "Steps that were carried out, by how they ended", steps)?;
        out.counters(
            "appcred_drift_detected",
            "How often the target was found changed though no manifest was",
            self.by_target(|target| Some(target.totals.drifts)),
        )
    }

    /// Of all targets together: a histogram for each would be a dozen series a target.
    fn durations(&self) -> Durations {
        let mut all = Durations::default();
        for target in self.0.targets.values() {
            all.sum += target.totals.durations.sum;
            for (all, one) in all.counts.iter_mut().zip(target.totals.durations.counts) {
                *all += one;
            }
        }
        all
    }

    /// Nothing where the manifests are files of this machine.
    fn of_source(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let Some(source) = &self.0.source else { return Ok(()) };
        let url = || [("url", source.url.as_str())];
        let about =
            [url()[0], ("ref", source.reference.as_str()), ("commit", source.commit.as_str())];
        let help =
            "The repository that the manifests are fetched from, and the commit that is used";
        out.gauges("appcred_source_info", help, None, [(about, 1)])?;
        let help = "Whether the repository could not be fetched the last time";
        let failed = i64::from(source.error.is_some());
        out.gauges("appcred_source_failed", help, None, [(url(), failed)])?;
        out.gauges(
            "appcred_source_fetched_timestamp",
            "When the repository was fetched last",
            Some(&Unit::Seconds),
            source.fetched_at.map(|at| (url(), at.as_second())),
        )
    }

    /// Nothing where all entries are watched.
    fn of_selection(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let Some(selection) = &self.0.manifests.selection else { return Ok(()) };
        let label = [("selection", selection.arguments.join(" "))];
        out.gauges(
            "appcred_selected_entries",
            "How many entries are watched, where not all are",
            None,
            [(label.clone(), number(selection.entries))],
        )?;
        out.gauges(
            "appcred_selection_unmatched",
            "Whether a part of the selection matches no entry",
            None,
            [(label, i64::from(selection.unmatched.is_some()))],
        )
    }

    /// Nothing where all waves are done.
    fn of_rollout(&self, out: &mut FamilyWriter<'_>) -> fmt::Result {
        let Some(RolloutStatus { undone, .. }) = &self.0.rollout else { return Ok(()) };
        let UndoneWave { wave, why } = undone;
        let label = [("waves", wave.of.to_string())];
        out.gauges(
            "appcred_rollout_wave",
            "The number of the first wave that is not done",
            None,
            [(label.clone(), number(wave.number))],
        )?;
        out.gauges(
            "appcred_rollout_stopped",
            "Whether that wave has stopped the rollout",
            None,
            [(label, i64::from(why.is_stop()))],
        )
    }

    fn problems(&self) -> [([(&'static str, &'static str); 1], i64); 2] {
        let (errors, warnings) = self.0.problems().errors_and_warnings();
        [("error", errors), ("warning", warnings)]
            .map(|(severity, count)| ([("severity", severity)], number(count)))
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = FamilyWriter(encoder);
        let commit = env!("APPCRED_BUILT_COMMIT");
        let built = [("version", env!("CARGO_PKG_VERSION")), ("commit", commit)];
        out.gauges("appcred_build_info", "The running version", None, [(built, 1)])?;
        out.gauges(
            "process_start_time",
            "When it began to watch",
            Some(&Unit::Seconds),
            [([("", ""); 0], self.0.since.as_second())],
        )?;
        out.gauges(
            "appcred_manifest_problems",
            "What is wrong with the manifests",
            None,
            self.problems(),
        )?;
        self.of_source(&mut out)?;
        self.of_selection(&mut out)?;
        self.of_rollout(&mut out)?;
        self.of_targets(&mut out)?;
        self.of_holdings(&mut out)?;
        self.of_dates(&mut out)?;
        self.of_clients(&mut out)?;
        self.of_accounts(&mut out)?;
        self.of_totals(&mut out)?;
        out.histogram("appcred_reconcile_duration", "How long rounds took", &self.durations())
    }
}

/// Writes families of numbers.
struct FamilyWriter<'a>(DescriptorEncoder<'a>);

impl FamilyWriter<'_> {
    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        numbers: impl IntoIterator<Item = (L, i64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, number) in numbers {
            family.encode_family(&labels)?.encode_gauge(&number)?;
        }
        Ok(())
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        numbers: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, number) in numbers {
            let mut one = family.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, f64>(&number, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, durations: &Durations) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(durations.counts).collect();
        let (sum, count) = (durations.sum, durations.count());
        family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// No count comes near the limit.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
