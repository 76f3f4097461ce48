//! Nothing of a kubeconfig that cannot be used is repeated, and nothing that its exec plugin prints.

use crate::shell::Appcred;

const MARK: &str = "m4rk3d";
const AROUND: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n";

/// What is said of a kubeconfig with this user.
#[track_caller]
fn said_of(user: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, format!("{AROUND}users:\n- name: u\n  user:\n{user}")).unwrap();
    let named = Appcred::new().args(["controller", "--kubeconfig", file.to_str().unwrap()]);
    let found = Appcred::new().args(["controller"]).env("KUBECONFIG", &file);
    let [named, found] = [named, found].map(|one| one.status(1).run().stderr);
    for text in [&named, &found] {
        assert!(!text.contains(MARK), "{text}");
    }
    assert_eq!(named, found);
    named
}

#[test]
fn lines_of_a_kubeconfig_that_cannot_be_read_are_not_shown() {
    let wrong = said_of("    token: m4rk3d-token\n    exec: m4rk3d-exec\n");
    assert!(wrong.contains("cannot be read from line 10 column 11 on"), "{wrong}");
    let open = said_of("    token: \"m4rk3d-token\n");
    assert!(open.contains("cannot be read from line 9 column 12 on"), "{open}");
}

#[test]
fn what_an_exec_plugin_prints_is_not_shown_but_what_it_complains_of() {
    let plugin = |script: &str| {
        said_of(&format!(
            "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      interactiveMode: Never\n      command: sh\n      args: [-c, '{script}']\n      env: [{{name: SECRET, value: m4rk3d-env}}]\n"
        ))
    };
    let failed = plugin("echo m4rk3d-token; echo log in first >&2; exit 3");
    assert!(failed.contains("exec plugin failed (exit status: 3): log in first"), "{failed}");
    let unreadable = plugin("echo \"[m4rk3d-token\"");
    assert!(unreadable.contains("exec plugin prints is no ExecCredential"), "{unreadable}");
}
