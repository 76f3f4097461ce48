//! Which targets a project has, and which of them are asked for.

use std::collections::BTreeMap;

use thiserror::Error;

use super::Environment;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::manifest::Project;
use crate::model::{Glob, TargetName};
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
    /// The environment names one that cannot be.
    #[error("{0}")]
    Environment(String),
    /// One that does not exist.
    #[error("{}", suggest::missing("target", .name, .known.iter().map(String::as_str)))]
    Unknown {
        /// Its name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Several, where one is meant.
    #[error("there are several targets: name one of {}", .0.join(", "))]
    Several(Vec<String>),
    /// A folder has no users.
    #[error("cannot sign in to a configuration folder")]
    NotHomeAssistant,
}

/// The targets of these names, or all of them.
///
/// # Errors
/// Where there is none, or none of such a name.
pub fn select(
    project: &Project,
    environment: &Environment,
    names: &[String],
) -> Result<BTreeMap<TargetName, Endpoint>, SelectionError> {
    let all: BTreeMap<TargetName, Endpoint> = if project.targets.is_empty() {
        let target = environment.target.clone().ok_or(SelectionError::NoTarget)?;
        let target = target.map_err(SelectionError::Environment)?;
        BTreeMap::from([(TargetName::new(FROM_ENVIRONMENT), target)])
    } else {
        project.targets.iter().map(|(name, target)| (name.clone(), target.clone())).collect()
    };
    pick(all, names)
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

/// Those of these names or patterns, or all where none is given.
///
/// # Errors
/// Where there is none of such a name.
pub(super) fn pick<T>(
    mut all: BTreeMap<TargetName, T>,
    names: &[String],
) -> Result<BTreeMap<TargetName, T>, SelectionError> {
    let matches = |name: &String, target: &TargetName| {
        Glob::new(name).is_some_and(|glob| glob.matches(target.as_str()))
    };
    if let Some(name) = names.iter().find(|name| !all.keys().any(|target| matches(name, target))) {
        let known = all.keys().map(ToString::to_string).collect();
        return Err(SelectionError::Unknown { name: name.clone(), known });
    }
    if !names.is_empty() {
        all.retain(|target, _| names.iter().any(|name| matches(name, target)));
    }
    Ok(all)
}

/// Whether a project has targets of these names; the environment's where it names none.
///
/// # Errors
/// Where there is none of such a name.
pub fn check_targets(project: &Project, names: &[String]) -> Result<(), SelectionError> {
    let mut known: BTreeMap<TargetName, ()> =
        project.targets.keys().map(|name| (name.clone(), ())).collect();
    if known.is_empty() {
        known.insert(TargetName::new(FROM_ENVIRONMENT), ());
    }
    pick(known, names).map(drop)
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
    let names: Vec<String> = name.map(str::to_owned).into_iter().collect();
    let mut found = Vec::new();
    for (name, endpoint) in select(project, environment, &names)? {
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
    use std::path::PathBuf;

    use super::{SelectionError, one_home_assistant, select};
    use crate::manifest::Project;
    use crate::model::TargetName;
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
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let selected = select(&project(), &environment, &names)?;
            Ok(selected.keys().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(selected(&[]).unwrap(), ["cabin", "home", "lab"]);
        assert_eq!(selected(&["lab", "cabin", "lab"]).unwrap(), ["cabin", "lab"]);
        let error: SelectionError = selected(&["lab", "hut"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no target `hut`; there are: cabin, home, lab");
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
        let selected = select(&project, &environment, &[]).unwrap();
        assert_eq!(selected.into_iter().collect::<Vec<_>>(), [(TargetName::new("home"), endpoint)]);
        let none = select(&project, &Environment::default(), &[]);
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
