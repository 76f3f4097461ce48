//! Every value of a project that is a secret, or may be one, as it was read.

use std::sync::Arc;

use super::{Entry, Located, Project};
use crate::model::{CLIENT_ID, CLIENT_SECRET, Reference, SecretField, WEBHOOK, WEBHOOK_HEADERS};
use crate::target::Endpoint;

/// A value of one of the [`SECRET_FIELDS`](crate::model::SECRET_FIELDS).
#[derive(Clone, Copy, Debug)]
pub struct SecretValue<'p> {
    /// The field.
    pub field: SecretField,
    /// The value and its place.
    pub value: &'p Located<Reference>,
}

/// All of them, those of the project file first. Whoever checks, encrypts, or watches secrets goes
/// through these.
pub fn secret_values<'p>(
    project: &'p Project,
    entries: &'p [Arc<Entry>],
) -> impl Iterator<Item = SecretValue<'p>> {
    let of_targets = project.targets.values().flat_map(Endpoint::secrets);
    let webhooks = project.notify.webhooks.iter().flat_map(|webhook| {
        let headers = webhook.headers.iter().map(|(_, value)| (WEBHOOK_HEADERS, value));
        std::iter::once((WEBHOOK, &webhook.address)).chain(headers)
    });
    let of_entries = entries
        .iter()
        .flat_map(|entry| [(CLIENT_ID, &entry.client_id), (CLIENT_SECRET, &entry.client_secret)]);
    of_targets.chain(webhooks).chain(of_entries).map(|(field, value)| SecretValue { field, value })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::secret_values;
    use crate::diagnostic::SourceFile;
    use crate::manifest::{entries, mask, project};
    use crate::model::{Reference, SECRET_FIELDS, SecretField};
    use crate::yaml_edit::{SlotValue, slots};

    const AGE: &str =
        "\"-----BEGIN AGE ENCRYPTED FILE-----\\nYQ==\\n-----END AGE ENCRYPTED FILE-----\\n\"";

    /// A file with each field of the list encrypted.
    fn with_all_fields() -> String {
        let encrypted = |section: &str| -> String {
            let fields = SECRET_FIELDS.iter().filter(|field| field.section == section);
            let value = |field: &SecretField| match field.is_mapping {
                true => format!("{{X-Key: {AGE}}}"),
                false => AGE.to_owned(),
            };
            fields.map(|field| format!(", {}: {}", field.name, value(field))).collect()
        };
        format!(
            "application_credentials:\n  - {{domain: spotify{}}}\ntargets:\n  home: {{url: https://ha, client_certificate: a.pem{}}}\nnotify:\n  - {{{}}}\n",
            encrypted("application_credentials"),
            encrypted("targets"),
            encrypted("notify").trim_start_matches(", "),
        )
    }

    #[test]
    fn the_fields_that_are_edited_in_place_are_those_that_are_read() {
        // Two sections have one of a name.
        let names = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let all = names(SECRET_FIELDS.iter().map(|field| field.name.to_owned()).collect());
        let text = with_all_fields();

        let edited = slots(&text).unwrap();
        assert!(edited.iter().all(|slot| matches!(slot.held, SlotValue::Age(_))));
        let edited = names(edited.iter().map(|slot| slot.field.clone()).collect());
        assert_eq!(edited, all);

        let (head, tail) = text.split_at(text.find("targets:").unwrap());
        let file = Arc::new(SourceFile::new("appcred.yaml".into(), tail.to_owned(), mask));
        let paths = project::Paths { folder: Path::new(""), home: None };
        let (project, problems) = project::decode(&file, paths);
        assert!(!problems.has_errors());
        let (entries, problems) = entries(Path::new("a.yaml"), head, &project);
        assert!(!problems.has_errors());
        let read: Vec<_> = secret_values(&project, &entries).collect();
        assert!(read.iter().all(|secret| matches!(secret.value.value, Reference::Age(_))));
        let read = names(read.iter().map(|secret| secret.field.name.to_owned()).collect());
        assert_eq!(read, all);
    }
}
