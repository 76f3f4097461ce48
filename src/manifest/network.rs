//! How a target is reached, and the paths that the project file names.

use std::path::PathBuf;

use super::fields::{Decoder, Located, MappingFields};
use super::project::Paths;
use crate::diagnostic::ProblemCode;
use crate::http::{Network, ProxyAddress};
use crate::yaml::Pair;

impl Decoder<'_> {
    /// How a target is reached.
    pub(super) fn network(
        &mut self,
        fields: &MappingFields<'_, '_>,
        paths: Paths<'_>,
    ) -> Option<Network> {
        let ca_file = match fields.get("ca_file") {
            Some(pair) => self.path(paths, pair).map(Some),
            None => Some(None),
        };
        let proxy = match fields.get("proxy") {
            Some(pair) => self.proxy(pair).map(Some),
            None => Some(None),
        };
        Some(Network { ca_file: ca_file?, proxy: proxy? })
    }

    /// Reads a proxy's address, which must hold no password.
    fn proxy(&mut self, pair: &Pair<'_>) -> Option<ProxyAddress> {
        match ProxyAddress::parse(self.field_text(pair)?) {
            Ok(proxy) => Some(proxy),
            Err(why) => {
                self.refuse(ProblemCode::BadUrl, pair.value.span, format!("`proxy` {why}"));
                None
            }
        }
    }

    /// The path that a text is short for.
    pub(super) fn path_of(&mut self, paths: Paths<'_>, text: &Located<String>) -> Option<PathBuf> {
        let path = paths.resolve(&text.value);
        if path.is_none() {
            self.refuse_with(
                ProblemCode::NoHome,
                text.spot.span,
                "`~` is the home folder, which is unknown",
                "set `HOME`, or write the whole path",
            );
        }
        path
    }

    /// The path that a field names.
    pub(super) fn path(&mut self, paths: Paths<'_>, pair: &Pair<'_>) -> Option<PathBuf> {
        let text = self.field_text(pair)?.to_owned();
        self.path_of(paths, &self.located(text, pair.value.span))
    }
}
