//! What the project says of the way to HA: authorities, client certificate, headers, proxy.

use std::path::PathBuf;

use crate::diagnostic::{Located, ProblemCode, Spot};
use crate::field::{Field, FieldRefusal, Pairs, Raw, SecretText, Text};
use crate::files::{self, TEXT_LIMIT};
use crate::http::{
    BadProxy, CertificateDer, ClientIdentity, HeaderMap, Network, ProxyAddress, add_header,
    authorities_in, check_client,
};
use crate::model::{
    AGE_HEADER, CLIENT_KEY, HEADERS, PROXY, Reference, Secret, SecretField, Visible,
};
use crate::secret::{self, SecretResolver, Unreadable};
use crate::target::{AddedHeaders, ConnectError, FieldContext, added_headers};

/// Headers that Home Assistant's API has from us.
const OWN: &[&str] = &["authorization", "ha-frontend-base"];
const OTHER_HEADER: &str =
    "let the proxy in front of Home Assistant take another header, such as `X-Api-Key`";

/// How HA is reached, before any secret of that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Certificate authorities (PEM) to trust beside the system's.
    pub ca_file: Option<Located<PathBuf>>,
    /// Others that are in no file.
    pub authorities: Vec<CertificateDer<'static>>,
    /// By what certificate we identify ourselves.
    pub client: Option<ClientSettings>,
    /// What HA is sent with each request.
    pub headers: AddedHeaders,
    /// The proxy through which all connections go.
    pub proxy: Option<Located<Reference>>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The file of the certificate.
    pub certificate: Located<PathBuf>,
    /// The key, or in plain text the path of its file.
    pub key: Located<Reference>,
    /// That file.
    pub key_file: Option<PathBuf>,
}

/// The fields of a target that say how it is reached.
pub(super) struct NetworkInput {
    pub(super) ca_file: Option<Field<Text<String>>>,
    pub(super) client_certificate: Option<Field<Text<String>>>,
    pub(super) client_key: Option<Field<Raw<SecretText>>>,
    pub(super) headers: Option<Field<Pairs<Raw<SecretText>>>>,
    pub(super) proxy: Option<Field<Raw<SecretText>>>,
}

impl NetworkSettings {
    /// What the fields say; every problem of theirs is reported.
    pub(super) fn new(
        input: NetworkInput,
        is_encrypted: bool,
        context: &dyn FieldContext,
    ) -> Option<Self> {
        let NetworkInput { ca_file, client_certificate, client_key, headers, proxy } = input;
        let ca_file = ca_file.map_or(Some(None), |file| context.path(file).map(Some));
        let client = client(client_certificate, client_key, is_encrypted, context);
        let headers = headers.map_or(Some(Vec::new()), |headers| {
            added_headers(headers, (OWN, OTHER_HEADER), context)
        });
        let proxy = proxy.map_or(Some(None), |field| address(&field, context).map(Some));
        Some(Self {
            ca_file: ca_file?,
            authorities: Vec::new(),
            client: client?,
            headers: headers?,
            proxy: proxy?,
        })
    }

    /// The values that are secret, or may be.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (SecretField, &Located<Reference>)> {
        let headers = self.headers.iter().map(|(_, value)| (HEADERS, value));
        let key = self.client.iter().map(|client| (CLIENT_KEY, &client.key));
        headers.chain(key).chain(self.proxy.iter().map(|proxy| (PROXY, proxy)))
    }

    /// Every file that [`Self::read`] reads.
    pub(super) fn files(&self, resolver: &SecretResolver) -> Vec<PathBuf> {
        let client = self.client.iter();
        let own =
            client.flat_map(|client| client.key_file.iter().chain([&client.certificate.value]));
        let ca_file = self.ca_file.iter().map(|file| &file.value);
        let named = self.secrets().flat_map(|(_, value)| secret::files_of(&value.value, resolver));
        ca_file.chain(own).cloned().chain(named).collect()
    }

    /// What is wrong with the files of certificates and of the key, where each is named.
    pub(super) fn file_faults(&self, resolver: &SecretResolver) -> Vec<Located<String>> {
        let authorities = self.ca_file.iter().filter_map(|Located { value: file, spot }| {
            Some(Located { value: authorities_in(file).err()?, spot: spot.clone() })
        });
        let client = self.client.iter().filter_map(|client| match client.read(resolver) {
            Ok(read) => {
                let spot = client.certificate.spot.clone();
                Some(Located { value: check_client(&read).err()?, spot })
            }
            Err(ConnectError::Reference { why, .. }) if why.is_lacking() => None,
            Err(why) => Some(Located { value: why.to_string(), spot: client.key.spot.clone() }),
        });
        authorities.chain(client).collect()
    }

    /// Reads the secrets and certificates in it.
    ///
    /// # Errors
    /// Where one cannot be read, or cannot be what it is for.
    pub fn read(&self, resolver: &SecretResolver) -> Result<Network, ConnectError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let what = format!("header `{name}`");
            let read = secret::read_header(&value.value, resolver);
            let read = read.map_err(|why| unread(&what, value, why))?;
            if !add_header(&mut headers, name, read.expose()) {
                return Err(unfit(&what, value, "has a character that no header has".to_owned()));
            }
        }
        let proxy = self.proxy.as_ref().map(|value| read_proxy(value, resolver)).transpose()?;
        let client = self.client.as_ref().map(|client| client.read(resolver)).transpose()?;
        let named = |spot: &Spot| {
            let place = spot.place();
            move |why| ConnectError::File { why, place }
        };
        let mut authorities = self.authorities.clone();
        if let Some(Located { value: file, spot }) = &self.ca_file {
            authorities.extend(authorities_in(file).map_err(named(spot))?);
        }
        if let (Some(settings), Some(client)) = (&self.client, &client) {
            check_client(client).map_err(named(&settings.certificate.spot))?;
        }
        Ok(Network { authorities, proxy, headers, client })
    }
}

impl ClientSettings {
    fn read(&self, resolver: &SecretResolver) -> Result<ClientIdentity, ConnectError> {
        let unread = |why| unread("client key", &self.key, why);
        let (key, key_place) = match &self.key_file {
            None => {
                let key = secret::read_document(&self.key.value, resolver).map_err(unread)?;
                (key, self.key.spot.place().to_string())
            }
            Some(file) => {
                let file_place = file.visible().into_owned();
                let bytes = files::read(file, TEXT_LIMIT).map_err(|why| {
                    unfit(
                        "client key",
                        &self.key,
                        format!("cannot be read from {file_place}: {why}"),
                    )
                })?;
                let bytes = match secret::is_age_file(&bytes) {
                    true => resolver.open(&bytes).map_err(unread)?,
                    false => bytes,
                };
                let text = std::str::from_utf8(&bytes).map_err(|_| unread(Unreadable::NotUtf8))?;
                (Secret::new(text), file_place)
            }
        };
        Ok(ClientIdentity { certificate: self.certificate.value.clone(), key, key_place })
    }
}

fn read_proxy(
    value: &Located<Reference>,
    resolver: &SecretResolver,
) -> Result<ProxyAddress, ConnectError> {
    let read = secret::read(&value.value, resolver);
    let read = read.map_err(|why| unread(PROXY.name, value, why))?;
    ProxyAddress::with_credentials(read.expose())
        .map_err(|why| unfit(PROXY.name, value, why.to_string()))
}

fn unread(what: &str, value: &Located<Reference>, why: Unreadable) -> ConnectError {
    ConnectError::Reference { what: what.to_owned(), place: value.spot.place(), why }
}

fn unfit(what: &str, value: &Located<Reference>, why: String) -> ConnectError {
    ConnectError::Setting { what: what.to_owned(), place: value.spot.place(), why }
}

fn client(
    certificate: Option<Field<Text<String>>>,
    key: Option<Field<Raw<SecretText>>>,
    is_encrypted: bool,
    context: &dyn FieldContext,
) -> Option<Option<ClientSettings>> {
    let refuse = |site, why: String, help| {
        context.refuse_field(site, FieldRefusal::new(ProblemCode::UnfitField, why).help(help));
        None
    };
    let both = "a client certificate is `client_certificate: FILE` and `client_key: FILE`";
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Some(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) => {
            return refuse(alone.site, "is given without `client_key`".to_owned(), both);
        }
        (None, Some(alone)) => {
            return refuse(alone.site, "is given without `client_certificate`".to_owned(), both);
        }
    };
    if !is_encrypted {
        let help =
            "write `https://` if the server speaks TLS, or remove the certificate and its key";
        let why = "goes with an address that begins with `https://`".to_owned();
        return refuse(certificate.site, why, help);
    }
    let site = key.site;
    let (certificate, key) = (context.path(certificate), key_of(&key, context));
    let (certificate, key) = (certificate?, key?);
    let key_file = match &key.value {
        Reference::Plain(path) => Some(context.resolved(path.expose(), site)?),
        _ => None,
    };
    Some(Some(ClientSettings { certificate, key, key_file }))
}

fn key_of(
    field: &Field<Raw<SecretText>>,
    context: &dyn FieldContext,
) -> Option<Located<Reference>> {
    let is_pem = |text: &str| text.trim_start().starts_with("-----BEGIN");
    let text = context.plain_text(field.site);
    if text.is_some_and(|text| is_pem(text) && !text.trim_start().starts_with(AGE_HEADER)) {
        let why = FieldRefusal::new(ProblemCode::PlainSecret, "is a key in plain text here");
        let help =
            "name the file of the key, or encrypt the key with age and put that here behind `|`";
        context.refuse(field.site, why.help(help));
        return None;
    }
    context.reference(field)
}

/// The address of a proxy, which holds a password only where it is kept as a secret.
fn address(
    field: &Field<Raw<SecretText>>,
    context: &dyn FieldContext,
) -> Option<Located<Reference>> {
    let refuse = |why: BadProxy| {
        let refusal = FieldRefusal::new(ProblemCode::BadUrl, why.to_string());
        let help =
            "keep the whole address as a secret and name it by a tag, as in `proxy: !secret proxy`";
        let has_help = why == BadProxy::Credentials;
        context.refuse(field.site, if has_help { refusal.help(help) } else { refusal });
        None
    };
    let fault = context.plain_text(field.site).and_then(|text| ProxyAddress::parse(text).err());
    match fault {
        Some(why @ (BadProxy::Scheme | BadProxy::Credentials)) => refuse(why),
        // What is encrypted is no address either.
        Some(why) => match context.reference(field)? {
            Located { value: Reference::Plain(_), .. } => refuse(why),
            encrypted => Some(encrypted),
        },
        None => context.reference(field),
    }
}
