//! A kill before each call that changes a file leaves the old file or the new one, whole, and nothing in plain text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::shell::{Appcred, Project, age_identity, encrypt};

const MANIFEST: &str = "credentials/a.yaml";

/// All files below a folder that hold a text; one that goes away meanwhile holds nothing.
pub(crate) fn holding(folder: &Path, mark: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, mark));
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(mark))
        {
            found.push(path);
        }
    }
    found
}

/// The program that kills another one before one of its calls.
fn killer() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("killed_at_call");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/killed_at_call.c");
    let compiled = Command::new("cc").arg("-o").args([&program, Path::new(source)]).status();
    assert!(compiled.unwrap().success());
    (folder, program)
}

/// Kills a run before its first call that changes a file, the next one before its second, and so on, until one comes
/// to its end. `mark` is what is secret.
fn kill_at_each_call(
    before: &str,
    verb: &[&str],
    editor: &str,
    mark: &str,
    appcred: &dyn Fn() -> (Project, Appcred),
) {
    let (_folder, killer) = killer();
    for call in 1.. {
        let (project, run) = appcred();
        project.write(MANIFEST, before);
        project.write("home/editor", editor);
        fs::set_permissions(project.join("home/editor"), fs::Permissions::from_mode(0o755))
            .unwrap();
        fs::create_dir_all(project.join("temp")).unwrap();
        let running = run
            .in_dir(project.path())
            .env("HOME", project.join("home"))
            .env("TMPDIR", project.join("temp"))
            .env("PATH", "/usr/bin:/bin")
            .env("EDITOR", project.join("home/editor"))
            .args(verb)
            .under(&killer, &call.to_string())
            .spawn();
        let ran = running.finish();
        assert!(matches!(ran.status, Some(0 | 137)), "{:?}: {}", ran.status, ran.stderr);
        let ended = ran.status == Some(0);
        // What lies in memory goes once the guard has seen that we are gone.
        let since = Instant::now();
        while !holding(Path::new("/dev/shm"), mark).is_empty() {
            assert!(
                since.elapsed().as_secs() < 60,
                "{:?} are left",
                holding(Path::new("/dev/shm"), mark)
            );
            thread::yield_now();
        }
        let after = fs::read_to_string(project.join(MANIFEST)).unwrap();
        if after != before {
            let is_whole = after.ends_with("# end\n")
                && after.matches("-----BEGIN AGE").count() == after.matches("-----END AGE").count();
            assert!(is_whole && !after.contains(mark), "{after}");
        }
        let old = (after == before).then(|| project.join(MANIFEST));
        let left = holding(project.path(), mark);
        let left: Vec<_> = left.into_iter().filter(|path| old.as_ref() != Some(path)).collect();
        assert!(left.is_empty(), "{mark} is in {left:?}");
        if ended {
            assert_ne!(after, before, "it did nothing");
            assert!(call > 5, "{verb:?} has {call} calls that change files");
            crate::histories::say(&format!(
                "{verb:?} was killed before each of {} calls",
                call - 1
            ));
            break;
        }
    }
}

#[test]
fn killed_verbs_leave_the_old_file_or_the_new_one() {
    let (identity, recipient) = age_identity();
    let (_, other) = age_identity();
    let house = |recipients: String| {
        let identity = identity.clone();
        move || {
            let project = Project::new().file(
                "appcred.yaml",
                &format!(
                    "targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{recipients}]}}\n"
                ),
            );
            (project, Appcred::new().env("SOPS_AGE_KEY", &identity))
        }
    };
    let manifest = |secret: &dyn Fn(usize) -> String| {
        let entries = (0..6).map(|at| {
            format!(
                "  - {{domain: spotify, name: n{at}, client_id: c{at}, client_secret: {}}}\n",
                secret(at)
            )
        });
        format!("application_credentials:\n{}# end\n", entries.collect::<String>())
    };
    let clear = manifest(&|at| format!("m4rk3d-encrypt-{at}"));
    kill_at_each_call(&clear, &["encrypt"], "", "m4rk3d-encrypt", &house(recipient.to_string()));
    let sealed =
        |mark: &str| manifest(&|at| format!("{:?}", encrypt(&format!("{mark}-{at}"), &recipient)));
    let both = format!("{recipient}, {other}");
    kill_at_each_call(&sealed("m4rk3d-rekey"), &["rekey"], "", "m4rk3d-rekey", &house(both));
    let editor = "#!/bin/sh\nsed -i 's/client_secret: /client_secret: new-/' \"$1\"\n";
    let before = sealed("m4rk3d-kill");
    kill_at_each_call(
        &before,
        &["edit", MANIFEST],
        editor,
        "m4rk3d-kill",
        &house(recipient.to_string()),
    );
}
