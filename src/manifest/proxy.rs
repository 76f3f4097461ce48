//! The proxy of a target.

use super::fields::Decoder;
use crate::http::ProxyAddress;
use crate::yaml::Pair;

impl Decoder<'_> {
    /// Reads a proxy's address, which must hold no password.
    pub(super) fn proxy(&mut self, pair: &Pair<'_>) -> Option<ProxyAddress> {
        match ProxyAddress::parse(self.field_text(pair)?) {
            Ok(proxy) => Some(proxy),
            Err(why) => {
                self.refuse("bad-url", pair.value.span, format!("`proxy` {why}"));
                None
            }
        }
    }
}
