//! A run that is killed at each message between it and Home Assistant, one after the other: whatever was done by
//! then, the next run arrives where an undisturbed one does.
//!
//! `APPCRED_EACH_STEP=1` takes every step of each verb, `APPCRED_EACH_STEP=rotate` those of one, and prints what each kill left behind; without it, some of the
//! steps are taken.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::linking::{Linking, link};
use crate::real::{Release, each_release};
use crate::shell::{Appcred, Ran, Running};
use crate::watch::eventually;

use super::step_proxy::{Step, StepProxy};
use super::{LINKED, ended_well, say};

/// How many steps there are between two that are taken, where not all are.
const STRIDE: usize = 9;
/// How often a step is tried that does not come up.
const TRIES: usize = 3;

/// What Home Assistant holds, without what is another each time.
type Held = Vec<String>;

/// A house with a provider, brought to the same state before each kill.
struct World {
    linking: Linking,
}

impl World {
    fn new(release: Release) -> Self {
        Self { linking: Linking::new(release) }
    }

    fn entry(&self, domain: &str, name: &str, client: &str, secret: &str) -> String {
        self.linking.provider.client(client, secret);
        self.linking.house.entry(domain, name, client, secret)
    }

    /// Nothing is there but what somebody made by hand.
    fn clear(&self) {
        let ha = &self.linking.ha;
        for entry in self.linking.accounts(LINKED) {
            let id = entry["entry_id"].as_str().unwrap();
            ha.rest("DELETE", &format!("/api/config/config_entries/entry/{id}"), None);
        }
        for held in ha.credentials() {
            let delete = json!({
                "type": "application_credentials/delete",
                "application_credentials_id": held["id"],
            });
            ha.call(delete).unwrap();
        }
        ha.create_credential(json!({
            "domain": "spotify", "client_id": "by-hand", "client_secret": "theirs", "name": "Mine",
        }));
        drop(fs::remove_dir_all(self.linking.house.project.join("credentials")));
    }

    fn link_by_hand(&self, implementation: &str) {
        self.linking.ha.link_by_hand(LINKED, implementation);
    }

    /// Declares these, and applies them without a fault.
    fn holds(&self, entries: &[String]) {
        self.linking.house.declare(entries);
        self.linking.apply();
    }

    fn held(&self) -> Held {
        let credentials = self.linking.ha.credentials();
        let fields = ["domain", "name", "client_id", "client_secret", "auth_domain"];
        let credentials = credentials.iter().map(|held| {
            fields.map(|field| held[field].as_str().unwrap_or("-").to_owned()).join(" ")
        });
        let accounts = self
            .linking
            .accounts(LINKED)
            .into_iter()
            .map(|account| format!("account {} {}", account["title"], account["state"]));
        let mut held: Vec<_> = credentials.chain(accounts).collect();
        held.sort();
        held
    }

    /// What must be so at any moment, right after the kill too.
    #[track_caller]
    fn foreign_is_whole(&self, history: &str) {
        let held = self.linking.ha.credentials();
        let foreign: Vec<_> = held.iter().filter(|one| one["client_id"] == "by-hand").collect();
        let is_whole = matches!(foreign[..], [one]
            if one["client_secret"] == "theirs" && one["name"] == "Mine" && one["auth_domain"].is_null());
        assert!(is_whole, "{history}: what was made by hand is {foreign:?}");
    }
}

/// One thing that a run does, which is killed at each step of it.
struct Scenario {
    name: &'static str,
    /// Brings everything to where it begins.
    begin: fn(&World),
    verb: &'static [&'static str],
    /// What is done after the kill, to arrive.
    arrive: fn(&World),
}

const APPLY: &[&str] = &["apply", "--yes"];

fn apply_again(world: &World) {
    world.linking.apply();
}

const SCENARIOS: [Scenario; 10] = [
    Scenario {
        name: "create",
        begin: |world| {
            world.clear();
            let entries = [("spotify", "Anna"), ("spotify", "Ben"), ("twitch", "Cleo")];
            let entries = entries.map(|(domain, name)| world.entry(domain, name, name, "first"));
            world.linking.house.declare(&entries);
        },
        verb: APPLY,
        arrive: apply_again,
    },
    Scenario {
        name: "replace",
        begin: |world| {
            world.clear();
            let clients = |client: &str| {
                [("spotify", "Anna"), ("twitch", "Ben")].map(|(domain, name)| {
                    world.entry(domain, name, &format!("{name}-{client}"), "first")
                })
            };
            world.holds(&clients("one"));
            world.linking.house.declare(&clients("two"));
        },
        verb: APPLY,
        arrive: apply_again,
    },
    Scenario {
        name: "rotate",
        begin: |world| {
            world.clear();
            let entries = |secret: &str| {
                [("spotify", "Anna"), (LINKED, "Dora")]
                    .map(|(domain, name)| world.entry(domain, name, name, secret))
            };
            world.holds(&entries("first"));
            world.link_by_hand("appcred:default:dora");
            world.linking.house.declare(&entries("second"));
        },
        verb: APPLY,
        arrive: apply_again,
    },
    Scenario {
        name: "shadow",
        begin: |world| {
            world.clear();
            let made = world.linking.ha.create_credential(
                json!({"domain": LINKED, "client_id": "dora", "client_secret": "first"}),
            );
            world.link_by_hand(made["id"].as_str().unwrap());
            let entry = world.entry(LINKED, "Dora", "dora", "second") + "    adopt: true\n";
            world.linking.house.declare(&[entry]);
        },
        verb: APPLY,
        arrive: apply_again,
    },
    Scenario {
        name: "delete",
        begin: |world| {
            world.clear();
            let entries = [("spotify", "Anna"), ("twitch", "Ben"), (LINKED, "Dora")];
            let entries = entries.map(|(domain, name)| world.entry(domain, name, name, "first"));
            world.holds(&entries);
            world.link_by_hand("appcred:default:dora");
            world.linking.house.declare(&entries[2..]);
        },
        verb: APPLY,
        arrive: apply_again,
    },
    Scenario {
        name: "remove with its account",
        begin: |world| {
            world.clear();
            let [anna, dora] = [("spotify", "Anna"), (LINKED, "Dora")]
                .map(|(domain, name)| world.entry(domain, name, name, "first"));
            world.holds(&[anna.clone(), dora]);
            world.link_by_hand("appcred:default:dora");
            world.linking.house.declare(&[anna]);
        },
        verb: &["apply", "--yes", "--remove-integrations"],
        arrive: |world| {
            world.linking.appcred(&["apply", "--yes", "--remove-integrations"]).run();
        },
    },
    Scenario {
        name: "set-up until consent",
        begin: |world| {
            world.clear();
            world.linking.house.declare(&[world.linking.entry(LINKED, "Dora", "dora", "first")]);
        },
        verb: APPLY,
        arrive: |world| {
            world.linking.consent(&link(&world.linking.json(APPLY)));
            world.linking.apply();
        },
    },
    Scenario {
        name: "set-up after consent",
        begin: |world| {
            world.clear();
            world.linking.house.declare(&[world.linking.entry(LINKED, "Dora", "dora", "first")]);
            world.linking.consent(&link(&world.linking.json(APPLY)));
        },
        verb: APPLY,
        arrive: |world| {
            // Home Assistant stops a request whose caller is gone: then the code is used up, and the token is lost.
            let ran = world.linking.appcred(APPLY).spawn().finish();
            if ran.status != Some(0) {
                let is_lost = ["(oauth_failed)", "(oauth_unauthorized)"]
                    .iter()
                    .any(|code| ran.stdout.contains(code));
                assert!(is_lost, "{}{}", ran.stdout, ran.stderr);
                world.linking.consent(&link(&world.linking.json(APPLY)));
                world.linking.apply();
            }
        },
    },
    Scenario {
        name: "import",
        begin: |world| {
            world.clear();
            let by_hand = [("twitch", "anna"), (LINKED, "dora")].map(|(domain, client)| {
                world.linking.ha.create_credential(
                    json!({"domain": domain, "client_id": client, "client_secret": "first"}),
                )
            });
            world.link_by_hand(by_hand[1]["id"].as_str().unwrap());
            let file =
                world.linking.house.project_file() + &format!("custom_integrations: [{LINKED}]\n");
            world.linking.house.project.write("appcred.yaml", &file);
        },
        verb: IMPORT,
        arrive: |world| {
            let ran = world.linking.appcred(IMPORT).run();
            let files = fs::read_dir(world.linking.house.project.join("credentials")).unwrap();
            let text: String =
                files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
            assert_eq!(text.matches("client_id:").count(), 2, "{}{}{text}", ran.stdout, ran.stderr);
            assert!(!text.contains("client_secret: first"), "{text}");
            // What an account uses stays until its secret changes; all else is taken over.
            world.linking.apply();
        },
    },
    Scenario {
        name: "watch",
        begin: |world| {
            world.clear();
            let entries = |client: &str, secret: &str| {
                [("spotify", "Anna", client), (LINKED, "Dora", "dora")]
                    .map(|(domain, name, client)| world.entry(domain, name, client, secret))
            };
            world.holds(&entries("one", "first"));
            world.link_by_hand("appcred:default:dora");
            world.linking.house.declare(&entries("two", "second"));
        },
        verb: &["watch"],
        arrive: apply_again,
    },
];

const IMPORT: &[&str] = &["import", "--yes", "--domain", "twitch", "--domain", LINKED];

impl Scenario {
    fn run(&self, world: &World, url: &str) -> Appcred {
        world.linking.appcred(self.verb).env("HASS_SERVER", url)
    }

    /// Waits for the end of a run that may be killed; a watcher is told to end once it has arrived.
    fn finish(&self, world: &World, mut running: Running, wanted: &Held) -> Ran {
        if self.verb == ["watch"] {
            eventually("it arrives or is killed", || running.is_over() || world.held() == *wanted);
            if !running.is_over() {
                running.signal(Signal::TERM);
            }
        }
        running.finish()
    }

    /// Where an undisturbed run arrives, and its steps.
    fn undisturbed(&self, world: &World) -> (Held, Vec<Step>) {
        (self.begin)(world);
        (self.arrive)(world);
        self.is_in_sync(world);
        let wanted = world.held();
        (self.begin)(world);
        let proxy = StepProxy::before(&world.linking.ha.url(), None);
        let running = self.run(world, &proxy.url()).spawn();
        proxy.aim_at(&running);
        ended_well(&self.finish(world, running, &wanted), self.name);
        (wanted, proxy.steps())
    }

    fn is_in_sync(&self, world: &World) {
        world.linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    }

    /// Kills it at those of its steps that are chosen.
    fn kill_at_each_step(&self, world: &World, is_chosen: impl Fn(usize) -> bool) -> Vec<Kill> {
        let (wanted, steps) = self.undisturbed(world);
        let steps = steps.into_iter().enumerate().filter(|(at, _)| is_chosen(*at));
        steps.map(|(_, step)| self.kill_at(world, &step, &wanted)).collect()
    }

    /// Kills it at this step, and says what that left behind.
    fn kill_at(&self, world: &World, step: &Step, wanted: &Held) -> Kill {
        let (message, number) = (&step.0, step.1 + 1);
        let history = format!("{} killed at {message}, number {number}", self.name);
        let mut state = None;
        // Answers that came as one may come as two, or the other way around.
        for _ in 0..TRIES {
            (self.begin)(world);
            let before = world.held();
            let proxy = StepProxy::before(&world.linking.ha.url(), Some(step.clone()));
            let running = self.run(world, &proxy.url()).spawn();
            proxy.aim_at(&running);
            let ran = self.finish(world, running, wanted);
            // A run may be over before the kill arrives.
            if proxy.has_killed() && ran.status.is_none() {
                state = Some(match world.held() {
                    held if held == before => "as before".to_owned(),
                    held if held == *wanted => "as wanted".to_owned(),
                    held => difference(&before, &held),
                });
                break;
            }
            ended_well(&ran, &history);
        }
        world.foreign_is_whole(&history);
        let is_down = |one: &String| one.starts_with("account") && !one.ends_with("\"loaded\"");
        // Where accounts are to go, their removal may have begun.
        if wanted.iter().any(|one| one.starts_with("account")) {
            eventually(&format!("{history}: accounts run before the next run"), || {
                !world.held().iter().any(is_down)
            });
        }
        (self.arrive)(world);
        let arrived = world.held();
        assert_eq!(arrived, *wanted, "{history}");
        assert!(!arrived.iter().any(is_down), "{history}: {arrived:?}");
        self.is_in_sync(world);
        let is_struck = state.is_some();
        let state = state.unwrap_or_else(|| "did not come up again".to_owned());
        Kill { is_struck, line: format!("| {} | `{message}` | {number} | {state} |", self.name) }
    }
}

/// What came of one step.
struct Kill {
    is_struck: bool,
    /// A line of the table.
    line: String,
}

/// What came and what went.
fn difference(before: &Held, after: &Held) -> String {
    let mut rest = before.clone();
    let mut parts = Vec::new();
    for one in after {
        match rest.iter().position(|held| held == one) {
            Some(at) => drop(rest.remove(at)),
            None => parts.push(format!("+ {one}")),
        }
    }
    parts.extend(rest.iter().map(|one| format!("- {one}")));
    parts.join("; ")
}

each_release!(ha_kill_at_each_step_leaves_nothing_wrong);
fn ha_kill_at_each_step_leaves_nothing_wrong(release: Release) {
    let asked = std::env::var("APPCRED_EACH_STEP").ok();
    let is_long = asked.is_some();
    let one = asked.filter(|one| SCENARIOS.iter().any(|scenario| scenario.name == one));
    let world = World::new(release);
    let mut kills = Vec::new();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        if one.as_ref().is_some_and(|one| one != scenario.name) {
            continue;
        }
        // The first steps only say who is there. Others with each scenario and release.
        let begin = number + release as usize;
        let is_chosen = |at: usize| is_long || at > 5 && (at + begin).is_multiple_of(STRIDE);
        let killed = scenario.kill_at_each_step(&world, is_chosen);
        assert!(!killed.is_empty(), "{} was never killed", scenario.name);
        kills.extend(killed);
    }
    if is_long {
        let struck = kills.iter().filter(|kill| kill.is_struck).count();
        let lines: Vec<_> = kills.iter().map(|kill| kill.line.as_str()).collect();
        say(&format!(
            "Home Assistant {}: {struck} kills at {} steps\n\
            | what | killed at | number | what that left |\n| --- | --- | --- | --- |\n{}",
            release.name(),
            kills.len(),
            lines.join("\n"),
        ));
    }
}
