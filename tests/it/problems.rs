//! What people are told when something is wrong: one folder a kind in `tests/cases/problems`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use appcred::diagnostic::Diagnostics;
use appcred::manifest::{LoadRequest, check_domains, load};
use appcred::model::Domain;
use appcred::report::problems::render;

const KNOWN: &[&str] = &["google", "home_connect", "netatmo", "spotify"];

fn problems_in(folder: &Path) -> Diagnostics {
    let request = LoadRequest {
        folder: folder.to_owned(),
        home: Some(PathBuf::from("/home/somebody")),
        owner: None,
    };
    let loaded = load(&request);
    let known: BTreeSet<_> = KNOWN.iter().copied().map(Domain::new).collect();
    let custom = &loaded.project.policy.custom_integrations;
    let mut problems = check_domains(loaded.domains(), &known, custom, "target `home`");
    problems.append(loaded.problems);
    problems
}

/// What is told, with paths as somebody in that folder sees them.
fn told(folder: &Path) -> String {
    let text = render(&problems_in(folder), false);
    text.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), ".")
}

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/problems");

/// Compares with a file that `UPDATE_EXPECT=1` rewrites; what differs comes back.
fn differs(expected: &Path, told: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    if update {
        fs::write(expected, told).unwrap();
        return None;
    }
    let same = fs::read_to_string(expected).unwrap_or_default() == told;
    (!same)
        .then(|| format!("not as in {} (UPDATE_EXPECT=1 rewrites it):\n{told}", expected.display()))
}

#[test]
fn every_kind_of_problem_is_told_as_expected() {
    let mut folders: Vec<_> =
        fs::read_dir(CASES).unwrap().map(|case| case.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    assert!(folders.len() > 30, "the cases were not found");
    let differing: Vec<_> = folders
        .iter()
        .filter_map(|folder| differs(&folder.join("expected.txt"), &told(folder)))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn no_marked_secret_is_told() {
    for case in fs::read_dir(CASES).unwrap() {
        let path = case.unwrap().path();
        let told = told(&path);
        for marked in ["hunter2", "MÄRKED"] {
            assert!(!told.contains(marked), "{}:\n{told}", path.display());
        }
    }
}

/// A project in a folder of its own, for what cannot be checked in.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("credentials")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn told(&self) -> String {
        told(self.folder.path())
    }

    /// Compares what is told with a file beside the cases that are checked in.
    fn is_told_as(&self, name: &str) {
        let differing = differs(&Path::new(CASES).join(name), &self.told());
        assert!(differing.is_none(), "{}", differing.unwrap_or_default());
    }
}

const ENTRY: &str = "application_credentials:
  - domain: spotify
    client_id: 4f5c0a
    client_secret: !env_var SPOTIFY_SECRET
";

#[test]
fn manifests_that_were_renamed_are_found_again() {
    for (name, found) in [
        ("creds/all.yaml", "`creds` lists entries"),
        ("credentials.yml", "`credentials.yml` lists entries"),
        (".creds/all.yaml", "put them into `credentials/`"),
    ] {
        let scene = Scene::new();
        fs::remove_dir(scene.path("credentials")).unwrap();
        fs::create_dir_all(scene.path(name).parent().unwrap()).unwrap();
        scene.write(name, ENTRY);
        assert!(scene.told().contains(found), "{}", scene.told());
        scene.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\nmanifests: [house]\n");
        let told = scene.told();
        let named = format!("{found}: if this was renamed, name that under `manifests`");
        assert_eq!(told.contains(&named), !name.starts_with('.'), "{told}");
    }
}

#[test]
fn a_file_that_is_not_utf8() {
    let scene = Scene::new();
    scene.write("credentials/a.yaml", b"application_credentials:\n  - domain: sp\xf6tify\n");
    scene.is_told_as("not-utf8.txt");
}

#[test]
fn a_file_in_utf16() {
    let scene = Scene::new();
    scene.write("credentials/a.yaml", b"\xff\xfea\0:\0\n\0");
    scene.is_told_as("utf16.txt");
}

#[test]
fn a_file_that_is_too_large() {
    let scene = Scene::new();
    scene.write("credentials/a.yaml", " ".repeat((8 << 20) + 1));
    scene.is_told_as("too-large.txt");
}

#[test]
fn a_file_of_just_the_largest_size_is_read() {
    let scene = Scene::new();
    let padding = "\n".repeat((8 << 20) - ENTRY.len());
    scene.write("credentials/a.yaml", format!("{padding}{ENTRY}"));
    assert_eq!(scene.told(), "");
}

#[test]
fn a_link_to_itself() {
    let scene = Scene::new();
    symlink("a.yaml", scene.path("credentials/a.yaml")).unwrap();
    scene.is_told_as("link-to-itself.txt");
}

#[test]
fn a_link_to_the_folder_above() {
    let scene = Scene::new();
    scene.write("credentials/a.yaml", ENTRY);
    symlink("..", scene.path("credentials/up")).unwrap();
    scene.is_told_as("link-to-above.txt");
}

#[test]
fn a_link_to_nothing() {
    let scene = Scene::new();
    symlink("gone.yaml", scene.path("credentials/a.yaml")).unwrap();
    scene.is_told_as("link-to-nothing.txt");
}

#[test]
fn a_file_whose_reading_fails() {
    let scene = Scene::new();
    // Readable by its mode, but its first page never is; not even for the superuser.
    symlink("/proc/self/mem", scene.path("credentials/a.yaml")).unwrap();
    scene.is_told_as("unreadable.txt");
}

#[test]
fn files_and_folders_that_may_not_be_read_do_not_stop_the_others() {
    let scene = Scene::new();
    fs::create_dir(scene.path("credentials/b")).unwrap();
    for name in ["credentials/a.yaml", "credentials/c.yaml"] {
        scene.write(name, "application_credentials: 1\n");
    }
    for name in ["credentials/a.yaml", "credentials/b"] {
        fs::set_permissions(scene.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let superuser = fs::read(scene.path("credentials/a.yaml")).is_ok();
    let told = scene.told();
    fs::set_permissions(scene.path("credentials/b"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(told.contains("credentials/c.yaml:1:26"), "{told}");
    let denied = told.matches("permission denied").count();
    assert_eq!(denied, if superuser { 0 } else { 2 }, "{told}");
    // Only who reads a folder knows that nothing is in it.
    for name in ["credentials/a.yaml", "credentials/c.yaml"] {
        fs::remove_file(scene.path(name)).unwrap();
    }
    fs::remove_dir(scene.path("credentials/b")).unwrap();
    fs::set_permissions(scene.path("credentials"), fs::Permissions::from_mode(0o000)).unwrap();
    let told = scene.told();
    fs::set_permissions(scene.path("credentials"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(told.contains("there is no manifest in the folder"), superuser, "{told}");
}

#[test]
fn a_folder_that_is_named_like_a_manifest_is_a_folder() {
    let scene = Scene::new();
    fs::create_dir(scene.path("credentials/a.yaml")).unwrap();
    scene.write("credentials/a.yaml/b.yaml", ENTRY);
    assert_eq!(scene.told(), "");
}

#[test]
fn a_config_map_of_kubernetes_is_read_once() {
    let scene = Scene::new();
    fs::create_dir(scene.path("credentials/..2026_11_23")).unwrap();
    scene.write("credentials/..2026_11_23/a.yaml", ENTRY);
    symlink("..2026_11_23", scene.path("credentials/..data")).unwrap();
    symlink("..data/a.yaml", scene.path("credentials/a.yaml")).unwrap();
    let loaded =
        load(&LoadRequest { folder: scene.folder.path().to_owned(), home: None, owner: None });
    assert!(loaded.problems.is_empty(), "{}", render(&loaded.problems, false));
    assert_eq!(loaded.entries.len(), 1);
}

#[test]
fn what_is_no_manifest_is_left_alone() {
    let scene = Scene::new();
    scene.write("credentials/a.yaml", ENTRY);
    for name in [".hidden.yaml", "secrets.yaml", "secrets.sops.yaml", "appcred.yaml", "notes.txt"] {
        scene.write(&format!("credentials/{name}"), "no: manifest\n");
    }
    fs::create_dir(scene.path("credentials/.git")).unwrap();
    scene.write("credentials/.git/b.yaml", "no: manifest\n");
    assert_eq!(scene.told(), "");
}

#[test]
fn no_manifest_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let differing = differs(&Path::new(CASES).join("no-manifest.txt"), &told(folder.path()));
    assert!(differing.is_none(), "{}", differing.unwrap_or_default());
}

#[test]
fn deep_flow_and_yaml_bombs_end_soon() {
    let scene = Scene::new();
    scene.write("credentials/deep.yaml", "[".repeat(100_000));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    scene.write("credentials/laughs.yaml", bomb);
    scene.is_told_as("bombs.txt");
}
