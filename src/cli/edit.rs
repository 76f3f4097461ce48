//! `edit`

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use secrecy::zeroize::Zeroizing;

use crate::diagnostic::{Diagnostics, ProblemCode};
use crate::encrypted_file::{EncryptedFileError, EncryptionContext, Opened};
use crate::files::{self, NotWritten, TEXT_LIMIT};
use crate::manifest::{LoadRequest, PlainSecrets, Project, check, load_project};
use crate::model::Visible;
use crate::secret::{IdentityProblem, SecretResolver};
use crate::yaml_edit::is_hollow;

use super::editor::Editor;
use super::exit::ExitStatus;
use super::gather::{load, request, resolver, show, variables_with_secrets};
use super::interrupt::confirm;
use super::locks::project_when_free;
use super::private_folder::{in_memory, remove_abandoned};
use super::recipients::of_file;
use super::temp_workspace::{PREFIX, TempWorkspace};
use super::unsaved_copy::{Unsaved, how_to_go_on, newest, rescue, typed};
use super::{Global, console, environment, unsaved_copy};

/// Edit a file with its secrets in plain text
///
/// Opens a manifest, appcred.yaml, a SOPS document of YAML or an age file in $VISUAL or $EDITOR (or
/// vi), decrypted. What changed is encrypted when the editor ends, and so are secrets that are new;
/// all else keeps its ciphertext, comments and layout included. Problems are reported, and nothing is
/// saved then; on a terminal you can go on editing. What is not saved in the end is kept beside the
/// file, encrypted.
#[derive(clap::Args, Debug)]
#[command(after_help = "The plain text is in a folder of your own in memory ($XDG_RUNTIME_DIR or \
/dev/shm), and goes with it, whatever the editor left there, even when appcred is killed. What an editor \
keeps elsewhere, such as an undo history, appcred cannot control; vim is started with options against that.

Examples:
  appcred edit credentials/spotify.yaml
  EDITOR='code --wait' appcred edit secrets.yaml.age")]
pub(super) struct Edit {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// If no folder is in memory, use the folder for temporary files, which may be on a disk
    #[arg(long)]
    insecure_temp: bool,
    /// Begin with the text that an earlier edit could not save; of several, with the newest
    #[arg(long)]
    unsaved: bool,
}

pub(super) async fn run(global: &Global, verb: &Edit) -> anyhow::Result<ExitStatus> {
    let file = verb.file.as_path();
    check_exists(file)?;
    let request = request(global);
    let loaded = load(global);
    // A project file in error is what may be edited just now; for another file it says what to encrypt to.
    let is_project_file = loaded.project.is_own_file(file);
    if !is_project_file {
        let problems = loaded.project_problems.without(ProblemCode::PlainSecret);
        show(&problems);
        if problems.has_errors() {
            return Ok(ExitStatus::Failure);
        }
    }
    let (secrets, mut project) = (variables_with_secrets(&loaded), loaded.project);
    // What could not be read allows no secret to be written in plain text.
    project.allow_plaintext &= !loaded.project_problems.has_errors();
    let (resolver, identity_problems) = resolver(global, &project);
    let kept = newest(file);
    let unsaved = begun_before(verb, kept.as_deref(), &resolver)?;
    let editor = Editor::find(secrets).await?;
    let workspace = workspace(verb)?;
    let mut session = EditSession {
        global,
        request,
        project,
        resolver,
        identity_problems,
        file,
        editor,
        workspace,
        known: None,
        unsaved,
        begun: None,
    };
    match session.edit_until_saved().await {
        Ok(End::Unchanged) => console::print("Nothing was changed.\n")?,
        Ok(End::Saved) => {
            console::print(&format!("Saved {}.\n", file.visible()))?;
            if let Some(kept) = kept.filter(|_| session.unsaved.is_some()) {
                unsaved_copy::remove(&kept)?;
            }
        }
        Ok(End::Emptied) => {
            console::message(format_args!(
                "{} was not changed: the editor left nothing in it, which cancels the edit.",
                file.visible()
            ));
            return Ok(ExitStatus::Failure);
        }
        ended => {
            if let Err(why) = ended {
                console::error(format_args!("{why:#}"));
            }
            session.rescue();
            return Ok(ExitStatus::Failure);
        }
    }
    Ok(ExitStatus::Success)
}

/// Refuses a file that is not there.
fn check_exists(file: &Path) -> anyhow::Result<()> {
    if let Err(why) = file.metadata() {
        let why = files::reason(file, &why);
        bail!(
            "cannot edit {}: {why}; `appcred add` writes a new entry, into a new manifest where there is none",
            file.visible()
        );
    }
    Ok(())
}

/// What was typed before and could not be saved, where that is to go on.
fn begun_before(
    verb: &Edit,
    kept: Option<&Path>,
    resolver: &SecretResolver,
) -> anyhow::Result<Option<Unsaved>> {
    let file = verb.file.as_path();
    Ok(match kept {
        Some(kept) if verb.unsaved => Some(Unsaved::read(kept, resolver)?),
        Some(kept) => {
            console::message(format_args!(
                "{} has text of an earlier edit that was not saved: {}",
                kept.visible(),
                how_to_go_on(file)
            ));
            None
        }
        None if verb.unsaved => {
            bail!("no unsaved text of an earlier edit is kept for {}", file.visible())
        }
        None => None,
    })
}

/// Somebody at a workspace with a file.
struct EditSession<'f> {
    global: &'f Global,
    request: LoadRequest,
    project: Project,
    resolver: SecretResolver,
    identity_problems: Vec<IdentityProblem>,
    file: &'f Path,
    editor: Editor,
    workspace: TempWorkspace,
    /// The decrypted text, as it was last read.
    known: Option<Zeroizing<String>>,
    /// What an earlier edit could not save, to begin with.
    unsaved: Option<Unsaved>,
    /// The text that it begins with because of that.
    begun: Option<Zeroizing<String>>,
}

/// What came of it.
enum End {
    Unchanged,
    /// Nothing is left of the text: as in `git commit`, that means to give up.
    Emptied,
    Saved,
    /// The reason has been reported.
    GivenUp,
}

impl EditSession<'_> {
    /// Lets the person edit until the text is saved or given up. Starts from the new text each time
    /// another program changed the file in the meantime.
    async fn edit_until_saved(&mut self) -> anyhow::Result<End> {
        loop {
            let before = files::read(self.file, TEXT_LIMIT)
                .with_context(|| format!("cannot read {}", self.shown()))?;
            let opened = Opened::new(&before, &self.resolver).map_err(|why| self.closed(&why))?;
            for (line, why) in opened.closed() {
                console::warning(format_args!("line {line} stays encrypted: {why}"));
            }
            match self.known.replace(Zeroizing::new(opened.clear().to_owned())) {
                None => {
                    let unsaved = self.unsaved.as_ref();
                    self.begun = unsaved.map(|of| of.with_changes(self.file, opened.clear()));
                    let text = self.begun.as_deref().map_or(opened.clear(), String::as_str);
                    self.workspace.write(text)?;
                }
                Some(known) => {
                    let mine = self.workspace.text()?;
                    self.workspace.write(&unsaved_copy::merged(&known, &mine, opened.clear()))?;
                }
            }
            if let Some(end) = self.edit(&opened, &before).await? {
                return Ok(end);
            }
        }
    }

    /// Lets the person edit one text; no end where there is a newer one to be edited.
    async fn edit(&mut self, opened: &Opened<'_>, before: &[u8]) -> anyhow::Result<Option<End>> {
        loop {
            let edited = self.workspace.edit(&self.editor).await;
            edited.with_context(|| format!("{} was not changed", self.shown()))?;
            let text = self.workspace.text();
            let text = text.with_context(|| format!("{} was not changed", self.shown()))?;
            if *text == *opened.clear() {
                return Ok(Some(End::Unchanged));
            }
            if is_hollow(&text) && !is_hollow(opened.clear()) {
                return Ok(Some(End::Emptied));
            }
            let is_overtaken = match self.save(opened, before, &text).await? {
                None => false,
                Some(Ok(())) => return Ok(Some(End::Saved)),
                Some(Err(why)) => {
                    console::error(self.not_saved(&why));
                    matches!(why, NotWritten::Changed)
                }
            };
            if self.workspace.is_asked_to_end().await {
                bail!(self.interrupted());
            }
            let question = match is_overtaken {
                true => "Edit it again, with both changes in it? [y/N] ",
                false => "Edit it again? [y/N] ",
            };
            if !console::can_ask() || !confirm(question.to_owned()).await? {
                console::message(format_args!("{} was not changed.", self.shown()));
                return Ok(Some(End::GivenUp));
            }
            if is_overtaken {
                return Ok(None);
            }
        }
    }

    /// Writes the edited text; none where something is wrong with it, which is reported.
    async fn save(
        &mut self,
        opened: &Opened<'_>,
        before: &[u8],
        text: &str,
    ) -> anyhow::Result<Option<Result<(), NotWritten>>> {
        // Whoever reads and changes the project just now is not overtaken.
        let _lock = tokio::select! {
            biased;
            lock = project_when_free(self.global) => lock?,
            () = self.workspace.asked_to_end() => bail!(self.interrupted()),
        };
        let problems = self.read_project();
        if problems.has_errors() && !self.project.is_own_file(self.file) {
            show(&problems);
            return Ok(None);
        }
        Ok(self.seal(opened, text).map(|after| files::replace(self.file, before, &after)))
    }

    /// Reads the project anew: its recipients may have changed while the editor was open. The one that is known stays
    /// where it is in error by now.
    fn read_project(&mut self) -> Diagnostics {
        let (project, problems) = load_project(&self.request);
        let problems = problems.without(ProblemCode::PlainSecret);
        if !problems.has_errors() {
            self.project = project;
        }
        problems
    }

    /// The file's new content; none where something is wrong with it, which is reported.
    fn seal(&self, opened: &Opened<'_>, text: &str) -> Option<Vec<u8>> {
        let problems = check(&self.request, self.file, text, PlainSecrets::Allowed);
        if problems.has_errors() {
            show(&problems);
            return None;
        }
        let now = environment::timestamp();
        let keep_plain = self.project.allow_plaintext;
        let recipients = match of_file(&self.global.folder, &self.project, self.file) {
            Ok(recipients) => recipients,
            Err(why) => {
                console::error(why);
                return None;
            }
        };
        let seals = EncryptionContext { recipients: &recipients.names, now: &now, keep_plain };
        let after = match opened.seal(text, seals) {
            Ok(after) => after,
            Err(why) => {
                console::error(format_args!("it cannot be saved: {}", why.with_help()));
                return None;
            }
        };
        // What is in plain text now would be so in Git.
        let problems = match std::str::from_utf8(&after) {
            Ok(text) => check(&self.request, self.file, text, PlainSecrets::AsUsual),
            Err(_) => problems,
        };
        show(&problems);
        if problems.has_errors() {
            return None;
        }
        recipients.say_of(&after);
        Some(after)
    }

    /// Keeps what was typed, if anything was.
    fn rescue(&mut self) {
        let Some(typed) = typed(self.workspace.file()) else { return };
        // What is wrong with it does not keep the text from being kept.
        self.read_project();
        let is_new = |known: &Zeroizing<String>| *typed != *known.as_bytes();
        if let Some(known) = self.known.as_ref().filter(|known| is_new(known))
            && self.begun.as_ref().is_none_or(is_new)
        {
            rescue(self.file, &typed, known, &self.project, &self.resolver);
        }
    }

    fn closed(&self, why: &EncryptedFileError) -> anyhow::Error {
        for problem in &self.identity_problems {
            console::warning(format_args!("{problem}"));
        }
        anyhow!("{}: {}", self.shown(), why.with_help())
    }

    fn not_saved(&self, why: &NotWritten) -> String {
        format!("cannot save {}: {why}", self.shown())
    }

    fn interrupted(&self) -> String {
        format!("{} was not changed: interrupted", self.shown())
    }

    fn shown(&self) -> Cow<'_, str> {
        self.file.visible()
    }
}

/// Where the decrypted text is written for the editor.
fn workspace(verb: &Edit) -> anyhow::Result<TempWorkspace> {
    let base = match in_memory() {
        Some(folder) => folder,
        None if verb.insecure_temp => std::env::temp_dir(),
        None => bail!(
            "neither $XDG_RUNTIME_DIR nor /dev/shm is a folder in memory: --insecure-temp uses the folder for temporary files, from which a disk may be read later"
        ),
    };
    remove_abandoned(&base, PREFIX)
        .with_context(|| format!("cannot look through {}", base.visible()))?;
    TempWorkspace::new(&base, &verb.file)
}
