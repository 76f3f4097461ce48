//! Plans from a snapshot: nothing is decrypted, no target is asked.

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};

use crate::desired;
use crate::diagnostic::Diagnostics;
use crate::manifest::{self, Project};
use crate::model::{Policy, SealedClients, TargetName};
use crate::target::snapshot::{self, Recorded, Snapshot, Source};

use super::gather::{Found, Gathered, compare, request, show};
use super::selection::Selection;
use super::{Global, environment};

/// Clocks of two machines may differ by so much.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What to plan from.
#[derive(Debug)]
pub(super) struct Against {
    pub(super) source: Source,
    pub(super) max_age: Option<SignedDuration>,
}

/// Plans for the chosen targets as a snapshot knows them.
///
/// # Errors
/// Where the snapshot cannot be had or is too old, or a target that is asked for is not known.
pub(super) async fn gather(
    global: &Global,
    selection: &Selection,
    policy: impl Fn(&Policy) -> Policy,
    against: &Against,
) -> anyhow::Result<Gathered> {
    let token = environment::snapshot_token();
    let fetching = snapshot::load(&against.source, token.as_ref());
    let request = request(global);
    let reading = tokio::task::spawn_blocking(move || manifest::load(&request));
    let (loaded, snapshot) = tokio::join!(reading, fetching);
    let loaded = loaded?;
    show(&loaded.problems);
    let completeness = loaded.completeness();
    let mut gathered =
        Gathered { manifests: loaded.manifests, problems: loaded.problems, sites: None };
    if gathered.problems.has_errors() {
        return Ok(gathered);
    }
    let mut snapshot = snapshot?;
    let now = environment::now();
    against.refuse_stale(snapshot.taken_at, now)?;
    let basis =
        format!("snapshot of {}, {}", shown(snapshot.taken_at), age(snapshot.taken_at, now));

    let entries = loaded.entries;
    let sealing = move || desired::seal(entries, completeness);
    let resolved = tokio::task::spawn_blocking(sealing).await?;
    let project = loaded.project;
    let policy = policy(&project.policy);
    let mut problems = Diagnostics::default();
    let mut sites = Vec::new();
    for name in chosen(&project, selection, &snapshot)? {
        let found = found(name, &mut snapshot, &basis, &against.source);
        sites.push(compare(found, &project, &resolved, &policy, &mut problems));
    }
    show(&problems);
    if !problems.has_errors() {
        gathered.sites = Some(sites);
    }
    gathered.problems.append(problems);
    Ok(gathered)
}

fn found(name: TargetName, snapshot: &mut Snapshot, basis: &str, source: &Source) -> Found {
    let (observed, clients) = match snapshot.take(&name) {
        Some(Recorded { observed, clients }) => (Ok(observed), clients),
        None => (Err(format!("{source} knows nothing of it")), SealedClients::new()),
    };
    let (basis, address) = (Some(basis.to_owned()), source.to_string());
    Found { name, address, basis, target: None, observed, clients }
}

/// The targets that are asked for: of the project, or of the snapshot where the project names none.
fn chosen(
    project: &Project,
    selection: &Selection,
    snapshot: &Snapshot,
) -> anyhow::Result<Vec<TargetName>> {
    let all: Vec<TargetName> = if project.targets.is_empty() {
        snapshot.names().cloned().collect()
    } else {
        project.targets.keys().cloned().collect()
    };
    if selection.targets.is_empty() {
        return Ok(all);
    }
    for name in &selection.targets {
        if !all.iter().any(|known| known.as_str() == name) {
            let known: Vec<&str> = all.iter().map(TargetName::as_str).collect();
            bail!("there is no target `{name}`; there are: {}", known.join(", "));
        }
    }
    Ok(all
        .into_iter()
        .filter(|name| selection.targets.iter().any(|one| one == name.as_str()))
        .collect())
}

impl Against {
    fn refuse_stale(&self, taken_at: Timestamp, now: Timestamp) -> anyhow::Result<()> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        let old = now.duration_since(taken_at);
        let source = &self.source;
        if old > max_age {
            bail!(
                "{source} is a snapshot of {}, {}, and --max-age allows {}: take a new one with `appcred snapshot`",
                shown(taken_at),
                age(taken_at, now),
                in_words(max_age)
            );
        }
        if old < -CLOCK_SKEW {
            bail!(
                "{source} is a snapshot of {}, which is not over yet: set the clock",
                shown(taken_at)
            );
        }
        Ok(())
    }
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn age(taken_at: Timestamp, now: Timestamp) -> String {
    let old = now.duration_since(taken_at);
    if old < SignedDuration::ZERO {
        "just taken".to_owned()
    } else {
        format!("{} old", in_words(old))
    }
}

/// In the largest unit of which there are two, as in `47 hours`.
fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let fitting = units.iter().find(|(length, _)| seconds >= 2 * length);
    let (length, unit) = fitting.copied().unwrap_or((1, "second"));
    let count = seconds / length;
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// Reads `30m`, `24h`, `7d` and whatever else jiff takes for a time.
pub(super) fn max_age(text: &str) -> anyhow::Result<SignedDuration> {
    let span: jiff::Span =
        text.parse().with_context(|| format!("`{text}` is no age such as 30m, 24h or 7d"))?;
    Ok(span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())?)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Against, Source, age, max_age};

    #[test]
    fn a_snapshot_is_as_old_as_is_said() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        assert_eq!(age(at(0), at(1)), "1 second old");
        assert_eq!(age(at(0), at(119)), "119 seconds old");
        assert_eq!(age(at(0), at(120)), "2 minutes old");
        assert_eq!(age(at(0), at(47 * 3_600)), "47 hours old");
        assert_eq!(age(at(0), at(48 * 3_600)), "2 days old");
        assert_eq!(age(at(9), at(0)), "just taken");
        let against = Against {
            source: Source::parse("s.json").unwrap(),
            max_age: Some(max_age("1h").unwrap()),
        };
        assert!(against.refuse_stale(at(0), at(3_600)).is_ok());
        let stale = against.refuse_stale(at(0), at(3_601)).unwrap_err().to_string();
        assert!(stale.contains("60 minutes old, and --max-age allows 60 minutes"), "{stale}");
        assert!(against.refuse_stale(at(299), at(0)).is_ok());
        assert!(against.refuse_stale(at(301), at(0)).is_err());
    }

    #[test]
    fn an_age_is_read_as_people_write_it() {
        assert_eq!(max_age("7d").unwrap(), SignedDuration::from_hours(168));
        assert_eq!(max_age("1h 30m").unwrap(), SignedDuration::from_mins(90));
        for wrong in ["", "soon", "7"] {
            assert!(max_age(wrong).is_err(), "{wrong}");
        }
    }
}
