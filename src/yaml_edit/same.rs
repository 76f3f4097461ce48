//! Whether two trees hold the same but for what was meant to change.

use crate::yaml::{Node, Style, Value};

/// Compares two values and all in them; `changed` answers for a scalar of the first tree, by where it
/// begins, what it is to be now.
pub(super) fn same(
    before: &Node<'_>,
    after: &Node<'_>,
    changed: &dyn Fn(usize) -> Option<String>,
) -> bool {
    if let (Value::Scalar(_) | Value::Null, Some(wanted)) =
        (&before.value, changed(before.span.start))
    {
        let Value::Scalar(scalar) = &after.value else { return false };
        return scalar.text.trim_end() == wanted.trim_end() && after.tag.is_none();
    }
    let tag = |node: &Node<'_>| node.tag.as_ref().map(|tag| tag.name.clone());
    if before.alias != after.alias || tag(before) != tag(after) {
        return false;
    }
    match (&before.value, &after.value) {
        (Value::Null, Value::Null) | (Value::Invalid, Value::Invalid) => true,
        (Value::Scalar(one), Value::Scalar(other)) => {
            let plain = |style: Style| style == Style::Plain;
            one.text == other.text && plain(one.style) == plain(other.style)
        }
        (Value::Sequence(one), Value::Sequence(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same(one, other, changed))
        }
        (Value::Mapping(one), Value::Mapping(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| {
                    one.key.text == other.key.text
                        && one.merged == other.merged
                        // What comes from an alias or `<<` changes with what it refers to.
                        && (one.merged || one.value.alias || same(&one.value, &other.value, changed))
                })
        }
        _ => false,
    }
}
