//! An action of Home Assistant that notifies somebody.

use smol_str::SmolStr;

/// An action of Home Assistant's integration `notify`, such as `notify.mobile_app_phone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyAction(SmolStr);

impl NotifyAction {
    /// Reads a whole name; none where it is of another integration, or wants to know which entity is meant.
    pub fn new(text: &str) -> Option<Self> {
        let name = text.strip_prefix("notify.").filter(|name| *name != "send_message")?;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (!name.is_empty() && name.bytes().all(fits)).then(|| Self(name.into()))
    }

    /// The part behind `notify.`.
    pub fn name(&self) -> &str {
        &self.0
    }
}
