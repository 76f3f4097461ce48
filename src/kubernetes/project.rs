//! ConfigMaps and Secrets with a label as the files of a project, which is then read as any other folder is.
//!
//! ```text
//!  FOLDER/                         private, in memory
//!    versions/ID/                  what the cluster has at one moment, never changed once it is whole
//!      appcred.yaml                the key of this name, of any of the objects
//!      credentials/configmap/NAME/KEY
//!      credentials/secret/NAME/KEY
//!      secrets.yaml                the same values of Secrets, for `!secret NAME/KEY`
//!    project                       leads to the version that is in force, and changes in one step
//! ```
//!
//! A version is listed as a whole: where one of the two lists is refused or does not come, what was in force stays so,
//! and nothing is deleted because it could not be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::{Cluster, error};
use crate::files;
use crate::model::{Owner, PROJECT_FILE, Visible, hex};
use crate::target::Stop;
use crate::watch::{FetchSource, NewestCommit};

/// What the objects have that are files of the project.
pub const PROJECT_LABEL: &str = "appcred.io/manifest=true";

/// Objects that are applied together are taken together: what is taken out of one and put into another is not deleted in
/// between, whatever had them listed. So long nothing may have changed,
const QUIET: Duration = Duration::from_secs(2);
/// and no longer is waited for that.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The pause before objects are watched again.
const PAUSE: Duration = Duration::from_secs(5);

/// A project in the objects of a namespace.
pub struct ClusterProject {
    client: Client,
    namespace: String,
    folder: PathBuf,
    /// The ids of the version that is in force and of the one before, which may still be read.
    kept: Mutex<(Option<String>, Option<String>)>,
}

/// The files of a version, by their paths in it.
type ProjectFiles = BTreeMap<PathBuf, Zeroizing<Vec<u8>>>;

impl ClusterProject {
    /// The project of this namespace, whose files are written below a folder that is private and in memory.
    pub fn new(cluster: &Cluster, namespace: &str, folder: &Path) -> Self {
        Self {
            client: cluster.client.clone(),
            namespace: namespace.to_owned(),
            folder: folder.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// Its owner where it names none. It is made of names, so that a cluster that is made anew finds its credentials.
    pub fn owner(&self) -> Option<Owner> {
        Owner::new(&format!("configmaps.{}", self.namespace))
    }

    /// What it is called.
    pub fn address(&self) -> String {
        format!("kubernetes:{}", self.namespace)
    }

    /// The folder of the version that is in force.
    pub fn folder_in_force(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Lists the objects and puts what they hold in force, once that stays the same.
    ///
    /// # Errors
    /// Where they cannot be listed or written, or have two project files; what was in force stays so.
    pub async fn fetch(&self) -> Result<NewestCommit, String> {
        let in_force = self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        let (id, (configmaps, secrets)) = settled(|| self.listed(), in_force.as_deref()).await?;
        if in_force.as_ref() != Some(&id) {
            let files = project_files(configmaps, secrets)?;
            self.put_in_force(&id, &files)
                .map_err(|why| format!("cannot write below {}: {why}", self.folder.visible()))?;
        }
        Ok(NewestCommit { id, rewritten_from: None })
    }

    /// All objects, and the id of the version that they are.
    async fn listed(&self) -> Result<(String, (Vec<ConfigMap>, Vec<Secret>)), String> {
        let (configmaps, secrets) =
            tokio::try_join!(self.list::<ConfigMap>("ConfigMaps"), self.list::<Secret>("Secrets"))?;
        Ok((id(&configmaps, &secrets), (configmaps, secrets)))
    }

    async fn list<K>(&self, what: &str) -> Result<Vec<K>, String>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let wanted = ListParams::default().labels(PROJECT_LABEL);
        let listed = error::within(error::REQUEST_TIMEOUT, api.list(&wanted)).await;
        Ok(listed.map_err(|why| error::of_list(what, &why))?.items)
    }

    fn put_in_force(&self, id: &str, files: &ProjectFiles) -> io::Result<()> {
        let versions = self.folder.join("versions");
        let version = versions.join(id);
        remove(&version)?;
        files::make_private_folder(&version)?;
        for (path, content) in files {
            let path = version.join(path);
            files::make_private_folder(files::folder_of(&path))?;
            files::create(&path, content, 0o600).map_err(io::Error::other)?;
        }
        files::put_link(&self.folder_in_force(), &Path::new("versions").join(id))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = (Some(id.to_owned()), kept.0.take());
        let is_kept =
            |name: &str| [&kept.0, &kept.1].into_iter().flatten().any(|kept| kept == name);
        for other in fs::read_dir(&versions)? {
            let other = other?;
            if !is_kept(&other.file_name().to_string_lossy()) {
                remove(&other.path())?;
            }
        }
        Ok(())
    }

    /// Says whenever the objects may have changed, until it is to stop.
    pub async fn follow(self: Arc<Self>, changed: Arc<Notify>, stop: Stop) {
        stop.run_until_cancelled(async {
            loop {
                let all = [self.changes::<ConfigMap>(), self.changes::<Secret>()];
                say_changes(stream::select_all(all), &changed).await;
                sleep(PAUSE).await;
            }
        })
        .await;
    }

    fn changes<K>(&self) -> BoxStream<'static, watcher::Result<()>>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + Send
            + 'static,
    {
        // Only their metadata: what they hold is listed afterwards.
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = watcher(api, watcher::Config::default().labels(PROJECT_LABEL));
        let changes = events.default_backoff().filter_map(async |event| match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
            Ok(_) => Some(Ok(())),
            Err(why) => Some(Err(why)),
        });
        changes.boxed()
    }
}

impl fmt::Debug for ClusterProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

impl FetchSource for ClusterProject {
    fn fetch_newest(&self, stop: &Stop) -> Result<NewestCommit, String> {
        let fetched = Handle::current().block_on(stop.run_until_cancelled(self.fetch()));
        fetched.unwrap_or_else(|| Err("it was asked to stop".to_owned()))
    }
}

/// Says whenever something has changed, until a watch fails. All is then listed anew, since the version that it would go on
/// from may be too old.
async fn say_changes(changes: impl Stream<Item = watcher::Result<()>>, changed: &Notify) {
    let mut changes = pin!(changes);
    while let Some(change) = changes.next().await {
        // Whoever lists them says what is wrong.
        changed.notify_one();
        if change.is_err() {
            return;
        }
    }
}

/// What is listed, with its id, once it is the same twice, [`QUIET`] apart: then nothing has changed between the two, and it is
/// of one moment. What is in force already is that.
async fn settled<T, F: Future<Output = Result<(String, T), String>>>(
    list: impl Fn() -> F,
    in_force: Option<&str>,
) -> Result<(String, T), String> {
    let last = Instant::now() + LONGEST_WAIT;
    let mut listed = list().await?;
    while in_force != Some(&*listed.0) && Instant::now() < last {
        sleep(QUIET).await;
        let before = std::mem::replace(&mut listed, list().await?).0;
        if listed.0 == before {
            break;
        }
    }
    Ok(listed)
}

/// What is another one whenever an object is. It is made of no value: whoever guesses a secret must not be able to check it.
fn id(configmaps: &[ConfigMap], secrets: &[Secret]) -> String {
    fn named<K: ResourceExt>(kind: &'static str, of: &K) -> (&'static str, String, String, String) {
        let version = of.resource_version().unwrap_or_default();
        (kind, of.name_any(), of.uid().unwrap_or_default(), version)
    }
    let configmaps = configmaps.iter().map(|of| named("configmap", of));
    let all: BTreeSet<_> = configmaps.chain(secrets.iter().map(|of| named("secret", of))).collect();
    let mut digest = Sha256::new();
    for (kind, name, uid, version) in all {
        digest.update(format!("{kind}\0{name}\0{uid}\0{version}\0"));
    }
    hex(&digest.finalize()[..20])
}

/// The files that objects hold.
///
/// # Errors
/// Where there are two project files.
fn project_files(configmaps: Vec<ConfigMap>, secrets: Vec<Secret>) -> Result<ProjectFiles, String> {
    let mut files = ProjectFiles::new();
    let mut of_project: Option<String> = None;
    let mut put = |kind: &str, name: &str, key: String, content: Zeroizing<Vec<u8>>| {
        if !is_file_name(&key) || !is_file_name(name) {
            return Ok(());
        }
        if key != PROJECT_FILE {
            let path = Path::new("credentials").join(kind).join(name).join(key);
            files.insert(path, content);
            return Ok(());
        }
        let here = format!("{kind}/{name}");
        if let Some(other) = of_project.replace(here.clone()) {
            return Err(format!(
                "{other} and {here} both have the key {PROJECT_FILE}, and a project has one: remove it from one of them"
            ));
        }
        files.insert(PROJECT_FILE.into(), content);
        Ok(())
    };
    for of in configmaps {
        let name = of.name_any();
        for (key, text) in of.data.into_iter().flatten() {
            put("configmap", &name, key, Zeroizing::new(text.into_bytes()))?;
        }
        for (key, bytes) in of.binary_data.into_iter().flatten() {
            put("configmap", &name, key, Zeroizing::new(bytes.0))?;
        }
    }
    let mut by_name: BTreeMap<String, BTreeMap<String, Zeroizing<String>>> = BTreeMap::new();
    for of in secrets {
        let name = of.name_any();
        for (key, bytes) in of.data.into_iter().flatten() {
            if let Ok(text) = str::from_utf8(&bytes.0) {
                // One that was made of a file ends as lines do.
                let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
                by_name.entry(name.clone()).or_default().insert(key.clone(), text);
            }
            put("secret", &name, key, Zeroizing::new(bytes.0))?;
        }
    }
    if !by_name.is_empty() {
        files.insert("secrets.yaml".into(), secrets_file(&by_name)?);
    }
    Ok(files)
}

/// A file of secrets in YAML, of which JSON is a part: each value is a text in quotes.
fn secrets_file(
    values: &BTreeMap<String, BTreeMap<String, Zeroizing<String>>>,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown: BTreeMap<&str, BTreeMap<&str, &str>> = values
        .iter()
        .map(|(name, of)| {
            (name.as_str(), of.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
        })
        .collect();
    serde_json::to_vec(&shown).map(Zeroizing::new).map_err(|why| why.to_string())
}

/// Whether this is the name of a file in a folder, and leads nowhere else. The API server takes no other.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use futures_util::{StreamExt, stream};
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use kube::runtime::watcher;
    use serde_json::json;
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::{id, is_file_name, project_files, say_changes, settled};

    fn configmap(name: &str, data: &serde_json::Value) -> ConfigMap {
        let version = data.to_string().len().to_string();
        let metadata = json!({"name": name, "uid": name, "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap()
    }

    fn secret(name: &str, key: &str, base64: &str) -> Secret {
        let metadata = json!({"name": name, "uid": name, "resourceVersion": base64});
        serde_json::from_value(json!({"metadata": metadata, "data": {key: base64}})).unwrap()
    }

    #[test]
    fn each_key_is_a_file_and_each_text_of_a_secret_has_a_name() {
        let configmaps = vec![
            configmap("house", &json!({"appcred.yaml": "owner: house\n", "spotify.yaml": "x"})),
            configmap("ca", &json!({"ca.crt": "y"})),
        ];
        let secrets = vec![
            secret("spotify", "client_secret", "bTRyazNkOiAieWVzIgo="),
            secret("image", "picture", "/w=="),
        ];
        let files = project_files(configmaps, secrets).unwrap();
        let names: Vec<&str> = files.keys().map(|path| path.to_str().unwrap()).collect();
        let expected = [
            "appcred.yaml",
            "credentials/configmap/ca/ca.crt",
            "credentials/configmap/house/spotify.yaml",
            "credentials/secret/image/picture",
            "credentials/secret/spotify/client_secret",
            "secrets.yaml",
        ];
        assert_eq!(names, expected);
        let named = files[Path::new("secrets.yaml")].as_slice();
        assert_eq!(named, br#"{"spotify":{"client_secret":"m4rk3d: \"yes\""}}"#);
        let file = files[Path::new("credentials/secret/spotify/client_secret")].as_slice();
        assert_eq!(file, b"m4rk3d: \"yes\"\n");
    }

    /// Which version is taken, and after how many seconds, where another one is there after each of these.
    async fn taken(
        changes: impl IntoIterator<Item = u64>,
        in_force: Option<&str>,
    ) -> (String, u64) {
        let (begin, changes) = (Instant::now(), Vec::from_iter(changes));
        let list = || async {
            let now = begin.elapsed().as_secs();
            let version = changes.iter().filter(|change| **change <= now).count();
            Ok((version.to_string(), ()))
        };
        let (version, ()) = settled(list, in_force).await.unwrap();
        (version, begin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_together_is_taken_once_and_what_goes_on_changing_in_the_end() {
        let version = |number: u64, after| (number.to_string(), after);
        assert_eq!(taken([], None).await, version(0, 2));
        assert_eq!(taken([1], None).await, version(1, 4));
        assert_eq!(taken([1, 3], None).await, version(2, 6));
        assert_eq!(taken([3], Some("other")).await, version(0, 2));
        assert_eq!(taken(1..90, None).await, version(20, 20));
        assert_eq!(taken([1], Some("0")).await, version(0, 0), "nothing is to be taken");
        let refused = settled(|| async { Err::<(String, ()), _>("no".to_owned()) }, None).await;
        assert_eq!(refused, Err("no".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_is_said_at_once_and_begun_anew() {
        let begin = Instant::now();
        let failed = Err(watcher::Error::NoResourceVersion);
        let changes = stream::iter([Ok(()), failed]).chain(stream::pending());
        let changed = Notify::new();
        say_changes(changes, &changed).await;
        changed.notified().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_project_has_one_file() {
        let of = |name| configmap(name, &json!({"appcred.yaml": "owner: house\n"}));
        let refused = project_files(vec![of("one"), of("two")], Vec::new()).unwrap_err();
        assert!(refused.starts_with("configmap/one and configmap/two both have"), "{refused}");
    }

    #[test]
    fn a_version_is_another_one_where_an_object_is_and_whatever_comes_first() {
        let [one, two] = ["one", "two"].map(|name| configmap(name, &json!({"a": "b"})));
        let both = id(&[one.clone(), two.clone()], &[]);
        assert_eq!(id(&[two.clone(), one.clone()], &[]), both);
        let changed = configmap("two", &json!({"a": "bc"}));
        let with_secret = id(&[one.clone(), two.clone()], &[secret("s", "k", "bTRyazNk")]);
        let other = id(&[one.clone(), two.clone()], &[secret("s", "k", "bTRyazNr")]);
        let alone = id(std::slice::from_ref(&one), &[]);
        let all = [both, alone, id(&[one, changed], &[]), with_secret, other];
        let apart: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(apart.len(), all.len());
    }

    #[test]
    fn no_key_leads_out_of_its_folder() {
        for name in ["a", "a.yaml", "..a", "a..b"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "/a", "a/", "./a", "../a"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
