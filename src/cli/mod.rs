//! The command line: one file for each verb, whose doc comments are its help.

mod account_linking;
mod add;
mod apply;
mod ask;
mod authorize;
mod candidates;
mod change;
mod chosen_integration;
mod client_file;
mod client_secret;
#[cfg(feature = "kubernetes")]
mod cluster_source;
mod completion;
mod console;
#[cfg(feature = "kubernetes")]
mod controller;
mod doctor;
mod edit;
mod editor;
mod encrypt;
mod environment;
mod exit;
mod explain;
#[cfg(feature = "kubernetes")]
mod export;
mod forget;
#[cfg(feature = "kubernetes")]
mod from_resources;
mod gather;
mod git_source;
mod health;
mod hyperlink;
mod import;
mod init;
mod inputs;
mod interrupt;
mod keygen;
mod late;
mod links;
mod list;
mod listen;
mod locks;
mod log;
mod login;
mod logout;
mod look_again;
mod man;
mod named_commands;
mod new_entries;
mod output;
mod output_format;
mod pager;
mod plan;
mod plan_file;
mod private_folder;
mod process_limits;
mod questions;
mod recipients;
mod rekey;
mod rename;
mod rm;
mod rotate;
mod schema;
mod selection;
mod served;
mod service;
mod snapshot;
mod source_args;
mod take_over;
mod temp_workspace;
mod times;
mod tips;
mod together;
mod unsaved_copy;
mod validate;
mod verb;
mod verify;
mod version;
mod watch;
mod waves;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Parser, ValueEnum};
use tokio::runtime::Runtime;

pub use exit::ExitStatus;

use console::Color;
use git_source::FetchedProject;
use interrupt::StopsAtOnce;
use output_format::{ChangesArgs, ForProgram, OutputFormat};
use verb::VerbArgs;

use crate::model::Visible;
use crate::report::Details;
use crate::report::changes::MadeChange;
use crate::target::Stop;
use crate::{files, manifest};

/// Application credentials as code for Home Assistant.
///
/// appcred reads YAML manifests of wanted OAuth credentials, whose secrets are encrypted with age (post-quantum
/// too) or SOPS, or come from files, variables or programs; it compares them with what Home Assistant holds, and
/// creates and deletes until they agree.
#[derive(Debug, Parser)]
#[command(name = "appcred", version = version::text(), propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status:
  0    success; what waits for consent, is in use, is suspended, or is kept by `prune: none` is no error
  1    error: something failed, or a step was not done since a person must decide
  2    changes: plan --detailed-exitcode alone
  130  ended by Ctrl-C before all was done

Without a project file, HASS_SERVER and HASS_TOKEN name the target;
in a Home Assistant app (add-on), SUPERVISOR_TOKEN does.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: VerbArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Work in this folder, where appcred.yaml and the manifests are, or below it in the same Git repository;
    /// other files on the command line are still relative to the current folder
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        default_value = ".",
        global = true,
        hide_default_value = true
    )]
    folder: PathBuf,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: Color,
    /// Show every change of a long plan in full, and log more (-v: steps, -vv: messages)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Print what is longer than the terminal at once, without $APPCRED_PAGER, $PAGER or less
    #[arg(long, global = true)]
    no_pager: bool,
    /// How to write the log
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    #[arg(skip)]
    fetched: Option<FetchedProject>,
    /// What listens to signals while the project of a watcher is fetched and read.
    #[arg(skip)]
    stopped_early: Option<StopsAtOnce>,
}

impl Global {
    /// The commit that the project was fetched at; none where a cluster has it.
    fn commit(&self) -> Option<&str> {
        let fetched = self.fetched.as_ref()?;
        match fetched.kept {
            #[cfg(feature = "kubernetes")]
            git_source::KeptSource::Cluster(..) => None,
            _ => Some(&fetched.commit),
        }
    }

    /// How much of each change of a plan is shown.
    fn details(&self) -> Details {
        if self.verbose > 0 { Details::All } else { Details::WhereShort }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs the command line and returns the exit status.
pub fn run() -> ExitStatus {
    if let Some(status) = completion::answer() {
        return status;
    }
    if let Some(advice) = tips::one_dash(environment::visible_arguments()) {
        console::error(advice);
        return ExitStatus::Failure;
    }
    let cli = match named_commands::parsed() {
        Ok(cli) => cli,
        Err(error) => {
            // An argument that is quoted must not begin a line. Help quotes none.
            let error = match error.use_stderr() {
                true => {
                    Cli::try_parse_from(environment::visible_arguments()).err().unwrap_or(error)
                }
                false => error,
            };
            if let Some(advice) = together::instead(&error) {
                console::error(advice);
                return ExitStatus::Failure;
            }
            let error = tips::advised(error);
            // 2 means changes here, so a wrong flag ends with 1, as it does in terraform.
            let text = error.render().ansi().to_string();
            if error.use_stderr() {
                console::print_error(&text);
                return ExitStatus::Failure;
            }
            return console::print(&text).map_or(ExitStatus::Failure, |()| ExitStatus::Success);
        }
    };
    console::choose(cli.global.color);
    if cli.global.no_pager {
        pager::turn_off();
    }
    // A daemon logs what it does; the others print it.
    let is_daemon = cli.verb.is_daemon();
    log::start(&cli.global, is_daemon);
    let status = start(cli).unwrap_or_else(|error| {
        console::error(format_args!("{error:#}"));
        ExitStatus::Failure
    });
    questions::leave_terminal();
    match status {
        ExitStatus::Failure if interrupt::was_pressed() => ExitStatus::Interrupted,
        status => status,
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitStatus> {
    let for_program = cli.verb.for_program();
    for_program.iter().for_each(ForProgram::begin);
    let mut made = Vec::new();
    let result = carry_out(cli, &mut made);
    if let Some(asked) = for_program {
        asked.finish(&result, &made)?;
    }
    result
}

/// Finds the folder of a verb's project, or fetches it; answers how the run ends where somebody stops it meanwhile.
fn find_project(cli: &mut Cli, runtime: &Runtime) -> anyhow::Result<Option<ExitStatus>> {
    let folder = &cli.global.folder;
    if let Err(why) = std::fs::read_dir(folder) {
        bail!("cannot work in {}: {}", folder.visible(), files::reason(folder, &why));
    }
    let stop = Stop::new();
    if matches!(cli.verb, VerbArgs::Watch(_)) {
        let _within = runtime.enter();
        cli.global.stopped_early = Some(StopsAtOnce::listen(stop.clone())?);
    }
    let fetched = source_args::fetch(cli, runtime, &stop);
    if stop.is_cancelled() {
        return Ok(Some(ExitStatus::Success));
    }
    cli.global.fetched = fetched?;
    cli.global.folder = match &cli.global.fetched {
        Some(fetched) => fetched.folder.clone(),
        None => manifest::project_folder(folder),
    };
    Ok(None)
}

fn carry_out(mut cli: Cli, made: &mut Vec<MadeChange>) -> anyhow::Result<ExitStatus> {
    // A core dump would hold tokens and secrets. What is started to fetch a repository inherits it.
    process_limits::refuse_core_dumps().context("cannot turn off core dumps")?;
    questions::end_first_process_on_signals().context("cannot listen to signals")?;
    process_limits::raise_open_files()?;
    let runtime = process_limits::runtime(cli.verb.is_daemon())?;
    // `init` creates it.
    if !matches!(cli.verb, VerbArgs::Init(_))
        && let Some(stopped) = find_project(&mut cli, &runtime)?
    {
        return Ok(stopped);
    }
    let result = runtime.block_on(async {
        match cli.verb {
            VerbArgs::Init(verb) => init::run(&cli.global, &verb, made),
            VerbArgs::Keygen(verb) => keygen::run(&cli.global, &verb, made),
            VerbArgs::Add(verb) => add::run(cli.global, verb.0, made).await,
            VerbArgs::Encrypt(verb) => encrypt::run(&cli.global, &verb, made),
            VerbArgs::Edit(verb) => edit::run(&cli.global, &verb).await,
            VerbArgs::Rotate(verb) => rotate::run(&cli.global, &verb, made).await,
            VerbArgs::Rename(verb) => rename::run(&cli.global, &verb, made).await,
            VerbArgs::Rm(verb) => rm::run(&cli.global, &verb, made).await,
            VerbArgs::Forget(verb) => forget::run(&cli.global, &verb, made),
            VerbArgs::Rekey(verb) => rekey::run(&cli.global, &verb, made),
            VerbArgs::Validate(verb) => validate::run(&cli.global, &verb).await,
            VerbArgs::Plan(verb) => plan::run(&cli.global, &verb).await,
            VerbArgs::Apply(verb) => apply::run(&cli.global, &verb).await,
            VerbArgs::Authorize(verb) => authorize::run(&cli.global, verb.0, made).await,
            VerbArgs::Import(verb) => import::run(&cli.global, &verb, made).await,
            VerbArgs::List(verb) => list::run(&cli.global, &verb).await,
            VerbArgs::Snapshot(verb) => snapshot::run(&cli.global, &verb).await,
            VerbArgs::Explain(verb) => explain::run(&verb),
            VerbArgs::Schema(verb) => schema::run(&verb),
            VerbArgs::Completion(verb) => completion::run(&verb),
            VerbArgs::Man(verb) => man::run(&verb),
            VerbArgs::Watch(verb) => watch::run(cli.global, verb.0).await,
            #[cfg(feature = "kubernetes")]
            VerbArgs::Controller(verb) => controller::run(&cli.global, verb.0).await,
            #[cfg(feature = "kubernetes")]
            VerbArgs::Export(verb) => export::run(&cli.global, &verb),
            VerbArgs::Health(verb) => health::run(&verb).await,
            VerbArgs::Verify(verb) => verify::run(&cli.global, &verb).await,
            VerbArgs::Doctor(verb) => doctor::run(&cli.global, verb.0).await,
            VerbArgs::Login(verb) => login::run(&cli.global, &verb, made).await,
            VerbArgs::Version(verb) => version::run(&verb),
            VerbArgs::Logout(verb) => logout::run(&cli.global, &verb, made).await,
        }
    });
    // A thread that waits for a terminal's input must not hold the process.
    runtime.shutdown_background();
    result
}
