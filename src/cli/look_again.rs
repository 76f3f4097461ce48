//! After a question, which may have been open for long, the targets are looked at again: what somebody agreed to is
//! done only where it is what is needed still.

use futures_util::future::join_all;

use super::console;
use super::interrupt::unless_interrupted;
use crate::model::Visible;
use crate::plan::Plan;
use crate::workspace::{Reach, Reopened, TargetView};

/// Looks at each target that is to be changed, and leaves those that need something else by now, which it says. `part`
/// is what the run does of the whole plan of the view with this number. Answers whether all need what was planned.
///
/// # Errors
/// Where nobody can listen for Ctrl-C.
pub(super) async fn look_again(
    views: &mut [TargetView],
    reach: &Reach,
    part: impl Fn(usize, Plan) -> Plan,
) -> anyhow::Result<bool> {
    let with_work = views.iter_mut().enumerate().filter(|(_, view)| view.has_work());
    let looks = join_all(with_work.map(async |(at, view)| {
        match reach.reopen(view, |plan| part(at, plan)).await {
            Reopened::AsPlanned => true,
            Reopened::Changed(differences) => {
                leave(view, &differences);
                false
            }
            Reopened::Unreachable(why) => {
                view.target = None;
                view.comparison = Err(why);
                false
            }
        }
    }));
    if let Some(as_planned) = unless_interrupted(looks).await? {
        return Ok(as_planned.into_iter().all(|is_as_planned| is_as_planned));
    }
    for view in views {
        view.target = None;
        view.leave("interrupted");
    }
    Ok(false)
}

fn leave(view: &mut TargetView, differences: &[String]) {
    console::error(format_args!(
        "{} has changed since it was looked at, so nothing is done there",
        view.name
    ));
    for difference in differences {
        console::message(format_args!("  {}", difference.visible()));
    }
    view.target = None;
    view.leave("the target has changed since it was looked at: run this again");
}
