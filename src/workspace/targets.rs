//! Which targets a project has, and which of them are asked for.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::Environment;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::manifest::Project;
use crate::model::{Glob, Labels, TargetName, TargetSelection, UnmetLabel};
use crate::suggest;
use crate::target::Endpoint;
use crate::target::home_assistant::HomeAssistantEndpoint;

/// What the target is called that the environment names.
const FROM_ENVIRONMENT: &str = "home";

/// Why there is no such target.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SelectionError {
    /// Neither the project nor the environment names one.
    #[error(
        "no target: name one in appcred.yaml, as `targets: {{home: {{url: https://ha.example:8123}}}}` for a running Home Assistant or `targets: {{home: {{config_dir: ./config}}}}` for its configuration folder, or set HASS_SERVER and HASS_TOKEN"
    )]
    NoTarget,
    /// The project file, or what is under `targets`, has an error: nothing follows from what is missing there.
    #[error(
        "{0} is not known while appcred.yaml, or a file of targets, has an error: correct that first"
    )]
    Unread(String),
    /// The project says in which files its targets are, and they have none.
    #[error(
        "no target: `targets` in appcred.yaml names files, and none of them has one; HASS_SERVER is ignored, since the project has targets of its own"
    )]
    NoneInFiles,
    /// The environment names one that cannot be.
    #[error("{0}")]
    Environment(String),
    /// One that does not exist.
    #[error("{}", suggest::missing(.kind, .name, .known.iter().map(String::as_str)))]
    Unknown {
        /// What is called so.
        kind: String,
        /// Its name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Each part of a selection means something, and no target has all of them.
    #[error("no target has all of {0}")]
    Nothing(String),
    /// Several, where one is meant.
    #[error("there are several targets: name one of {}", .0.join(", "))]
    Several(Vec<String>),
    /// A folder has no users.
    #[error("cannot sign in to a configuration folder")]
    NotHomeAssistant,
}

/// The selected targets, or all of them.
///
/// # Errors
/// Where there is none, or none of such a name or label.
pub fn select(
    project: &Project,
    environment: &Environment,
    selection: &TargetSelection,
) -> Result<BTreeMap<TargetName, Endpoint>, SelectionError> {
    let all: BTreeMap<TargetName, Endpoint> = if project.targets.is_empty() {
        if !project.has_read_targets() {
            return Err(SelectionError::Unread("which targets there are".to_owned()));
        }
        if project.has_target_files() {
            return Err(SelectionError::NoneInFiles);
        }
        let target = environment.target.clone().ok_or(SelectionError::NoTarget)?;
        let target = target.map_err(SelectionError::Environment)?;
        BTreeMap::from([(TargetName::new(FROM_ENVIRONMENT), target)])
    } else {
        project.targets.iter().map(|(name, target)| (name.clone(), target.clone())).collect()
    };
    pick(all, project, selection).map_err(|why| match why {
        SelectionError::Unknown { kind, name, .. } if !project.has_read_targets() => {
            SelectionError::Unread(format!("whether there is a {kind} `{name}`"))
        }
        other => other,
    })
}

/// Takes out the targets that are suspended, and says so of each: nobody looks at them.
pub(super) fn take_out_suspended<T>(
    project: &Project,
    targets: &mut BTreeMap<TargetName, T>,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for (name, spot) in &project.suspended {
        if targets.remove(name).is_some() {
            let message = format!("the target `{name}` is suspended: nothing is done there");
            let problem = Diagnostic::warning(ProblemCode::SuspendedTarget, message);
            let help = "remove `suspend: true` when it is to be managed again";
            problems.push(problem.at(&spot.file, spot.span).help(help));
        }
    }
    problems
}

/// Those that are selected, or all where nothing is.
///
/// # Errors
/// Where a part of the selection means none, or all of them together.
pub(super) fn pick<T>(
    mut all: BTreeMap<TargetName, T>,
    project: &Project,
    TargetSelection { names, labels: selector }: &TargetSelection,
) -> Result<BTreeMap<TargetName, T>, SelectionError> {
    let matches = |name: &String, target: &TargetName| {
        Glob::new(name).is_some_and(|glob| glob.matches(target.as_str()))
    };
    if let Some(name) = names.iter().find(|name| !all.keys().any(|target| matches(name, target))) {
        let known = all.keys().map(ToString::to_string).collect();
        return Err(SelectionError::Unknown {
            kind: "target".to_owned(),
            name: name.clone(),
            known,
        });
    }
    if let Some(unmet) = selector.unmet(project.labels.values()) {
        return Err(unknown_label(unmet, project));
    }
    let none = Labels::new();
    let has_labels =
        |target: &TargetName| selector.matches(project.labels.get(target).unwrap_or(&none));
    all.retain(|target, _| {
        (names.is_empty() || names.iter().any(|name| matches(name, target))) && has_labels(target)
    });
    if all.is_empty() && !selector.is_whole() {
        let names = names.iter().map(|name| format!("--target={name} "));
        return Err(SelectionError::Nothing(
            names.collect::<String>() + &format!("--selector='{selector}'"),
        ));
    }
    Ok(all)
}

fn unknown_label(unmet: UnmetLabel, project: &Project) -> SelectionError {
    let labels = || project.labels.values().flatten();
    match unmet {
        UnmetLabel::Name(name) => {
            let known = labels().map(|(label, _)| label.to_string()).collect();
            let kind = "target with the label".to_owned();
            SelectionError::Unknown { kind, name: name.into(), known }
        }
        UnmetLabel::Value(label, value) => {
            let values = labels().filter(|(other, _)| **other == label);
            let known = values.map(|(_, value)| value.to_string()).collect();
            let kind = format!("target whose label `{label}` is");
            SelectionError::Unknown { kind, name: value.into(), known }
        }
    }
}

/// The names of the selected targets; the environment's where the project names none.
///
/// # Errors
/// Where there is none of such a name or label.
pub fn selected_names(
    project: &Project,
    selection: &TargetSelection,
) -> Result<BTreeSet<TargetName>, SelectionError> {
    let mut known: BTreeMap<TargetName, ()> =
        project.targets.keys().map(|name| (name.clone(), ())).collect();
    if known.is_empty() {
        known.insert(TargetName::new(FROM_ENVIRONMENT), ());
    }
    Ok(pick(known, project, selection)?.into_keys().collect())
}

/// The one running HA that is meant.
///
/// # Errors
/// Where there is none of that name, it is a folder, or there are several and none is named.
pub fn one_home_assistant(
    project: &Project,
    environment: &Environment,
    name: Option<&str>,
) -> Result<(TargetName, HomeAssistantEndpoint), SelectionError> {
    let selection = TargetSelection::of_names(name.map(str::to_owned).into_iter().collect());
    let mut found = Vec::new();
    for (name, endpoint) in select(project, environment, &selection)? {
        if let Endpoint::HomeAssistant(endpoint) = endpoint {
            found.push((name, endpoint));
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            let names = found.iter().map(|(name, _)| name.to_string()).collect();
            Err(SelectionError::Several(names))
        }
        (None, _) => Err(SelectionError::NotHomeAssistant),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{SelectionError, one_home_assistant, select};
    use crate::manifest::{LoadRequest, Project, load_project};
    use crate::model::{LabelSelector, TargetName, TargetSelection};
    use crate::target::Endpoint;
    use crate::target::config_dir::ConfigDirEndpoint;
    use crate::target::home_assistant::{AuthMethod, HomeAssistantEndpoint, NetworkSettings};
    use crate::workspace::Environment;

    fn project() -> Project {
        let running = |url: &str| {
            Endpoint::HomeAssistant(HomeAssistantEndpoint {
                url: url.to_owned(),
                auth: AuthMethod::Session,
                network: NetworkSettings::default(),
            })
        };
        let targets = [
            ("cabin", running("http://cabin")),
            ("home", running("http://home")),
            ("lab", Endpoint::ConfigDir(ConfigDirEndpoint(PathBuf::from("lab")))),
        ];
        let targets = targets.map(|(name, target)| (TargetName::new(name), target)).into();
        let mut project = Project::default();
        project.targets = targets;
        project
    }

    #[test]
    fn targets_are_selected_by_name_and_a_wrong_name_lists_them() {
        let environment = Environment::default();
        let selected = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let selection = TargetSelection::of_names(names);
            let selected = select(&project(), &environment, &selection)?;
            Ok(selected.keys().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(selected(&[]).unwrap(), ["cabin", "home", "lab"]);
        assert_eq!(selected(&["lab", "cabin", "lab"]).unwrap(), ["cabin", "lab"]);
        let error: SelectionError = selected(&["lab", "hut"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no target `hut`; there are: cabin, home, lab");
    }

    #[test]
    fn nothing_is_said_to_be_missing_in_what_could_not_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let said = |text: &str, names: &[&str]| {
            fs::write(folder.path().join("appcred.yaml"), text).unwrap();
            let folder = folder.path().to_owned();
            let request = LoadRequest { folder, home: None, owner: None };
            let (project, _) = load_project(&request);
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let selection = TargetSelection::of_names(names);
            let environment = Environment {
                target: Some(Err("the environment is not asked".to_owned())),
                ..Environment::default()
            };
            select(&project, &environment, &selection).unwrap_err().to_string()
        };
        let rest = "is not known while appcred.yaml, or a file of targets, has an error: correct that first";
        let all = format!("which targets there are {rest}");
        assert_eq!(said("targets: {home: {config_dir: ha}}\nx: [\n", &[]), all);
        assert_eq!(said("targets: {home: {url: 7}}\n", &[]), all);
        let one = format!("whether there is a target `cabin` {rest}");
        let some = "targets: {home: {config_dir: ha}, cabin: {url: 7}}\n";
        assert_eq!(said(some, &["cabin"]), one);
        assert_eq!(said("owner: us\n", &[]), "the environment is not asked");
    }

    #[test]
    fn targets_are_selected_by_labels_and_a_wrong_one_is_suggested() {
        let mut project = project();
        for (name, ring) in [("cabin", "canary"), ("home", "stable")] {
            let labels = [("ring".into(), ring.into())].into();
            project.labels.insert(TargetName::new(name), labels);
        }
        let selected = |names: &[&str], labels: &str| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let selection =
                TargetSelection { names, labels: LabelSelector::parse(labels).unwrap() };
            let selected = select(&project, &Environment::default(), &selection);
            match selected {
                Ok(selected) => selected.into_keys().map(|name| name.to_string()).collect(),
                Err(error) => vec![error.to_string()],
            }
        };
        assert_eq!(selected(&[], "ring=canary"), ["cabin"]);
        assert_eq!(selected(&[], "ring!=canary"), ["home", "lab"]);
        assert_eq!(selected(&["*b*"], "!ring"), ["lab"]);
        let error = "there is no target with the label `rign`: did you mean `ring`?";
        assert_eq!(selected(&[], "rign=canary"), [error]);
        let error = "there is no target whose label `ring` is `canry`: did you mean `canary`?";
        assert_eq!(selected(&[], "ring!=canry"), [error]);
        let error = "no target has all of --target=lab --selector='ring=canary'";
        assert_eq!(selected(&["lab"], "ring=canary"), [error]);
    }

    #[test]
    fn the_environment_names_the_target_where_the_project_names_none() {
        let endpoint = Endpoint::HomeAssistant(HomeAssistantEndpoint {
            url: "http://ha".to_owned(),
            network: NetworkSettings::default(),
            auth: AuthMethod::Session,
        });
        let environment =
            Environment { target: Some(Ok(endpoint.clone())), ..Environment::default() };
        let project = Project::default();
        let selected = select(&project, &environment, &TargetSelection::default()).unwrap();
        assert_eq!(selected.into_iter().collect::<Vec<_>>(), [(TargetName::new("home"), endpoint)]);
        let none = select(&project, &Environment::default(), &TargetSelection::default());
        assert_eq!(none.unwrap_err(), SelectionError::NoTarget);
    }

    #[test]
    fn one_running_home_assistant_is_meant() {
        let one = |name| one_home_assistant(&project(), &Environment::default(), name);
        assert_eq!(one(Some("home")).unwrap().1.url, "http://home");
        let names = vec!["cabin".to_owned(), "home".to_owned()];
        assert_eq!(one(None).unwrap_err(), SelectionError::Several(names));
        assert_eq!(one(Some("lab")).unwrap_err(), SelectionError::NotHomeAssistant);
    }
}
