//! Whom a watcher notifies, as the project says.

use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, Spot};
use crate::http::{HeaderMap, add_header};
use crate::manifest::{Project, WebhookSetting};
use crate::model::is_web;
use crate::secret::{self, SecretResolver, Unreadable};
use crate::watch::{Notices, Webhook};

/// Who is notified. What of it cannot be read is reported.
pub(super) fn notices(
    project: &Project,
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Notices {
    let mut notices = Notices {
        home_assistant: project.notify.home_assistant,
        actions: project.notify.actions.clone(),
        webhooks: Vec::new(),
    };
    let webhooks = project.notify.webhooks.iter();
    notices.webhooks.extend(webhooks.filter_map(|setting| webhook(setting, resolver, problems)));
    notices
}

/// A webhook with its secrets; none where something of it cannot be read, which is reported.
fn webhook(
    setting: &WebhookSetting,
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Option<Webhook> {
    let WebhookSetting { address: Located { value, spot }, method, headers, body } = setting;
    let unread = |what: &str, spot: &Spot, why: &Unreadable| {
        let message = format!("cannot read the {what}: {why}");
        let problem = Diagnostic::error(ProblemCode::UnreadableSecret, message);
        problem.at(&spot.file, spot.span).help(why.help())
    };
    let mut read = HeaderMap::new();
    for (name, Located { value, spot }) in headers {
        let what = format!("header `{name}` of the webhook");
        match secret::read_header(value, resolver) {
            Ok(text) if add_header(&mut read, name, text.expose()) => {}
            Ok(_) => {
                let message = format!("the {what} has a character that no header has");
                let problem = Diagnostic::error(ProblemCode::UnfitField, message);
                problems.push(problem.at(&spot.file, spot.span));
            }
            Err(why) => problems.push(unread(&what, spot, &why)),
        }
    }
    let address = match secret::read(value, resolver) {
        Ok(address) if is_web(address.expose()) => address,
        Ok(_) => {
            let message = "a webhook must begin with http:// or https://";
            let problem = Diagnostic::error(ProblemCode::BadUrl, message);
            problems.push(problem.at(&spot.file, spot.span));
            return None;
        }
        Err(why) => {
            problems.push(unread("webhook", spot, &why));
            return None;
        }
    };
    let is_whole = read.len() == headers.len();
    is_whole.then(|| Webhook { address, method: *method, headers: read, body: body.clone() })
}
