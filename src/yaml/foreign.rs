//! Texts that are plainly no YAML: a patch, a page of the web, and what is around code in Markdown.

use super::YamlFault;
use super::conflict::conflicts;
use crate::diagnostic::{ProblemCode, Span};

/// What makes a text no YAML before it is parsed: a merge left to a person, or that it is something else.
pub(super) fn faults_of_no_yaml(text: &str) -> Option<Vec<YamlFault>> {
    let mut faults = conflicts(text);
    faults.extend(foreign(text));
    Some(faults).filter(|faults| !faults.is_empty())
}

/// Whether a text as a whole is something else, with its place.
fn foreign(text: &str) -> Option<YamlFault> {
    let start = text.len() - text.trim_start_matches('\u{feff}').trim_start().len();
    if is_page(&text[start..]) {
        let message = "this is a page of HTML or XML, and no YAML";
        return Some(fault(text, start, message).help(
            "fetch the file again: a server that asks for a sign-in answers with such a page",
        ));
    }
    // YAML has no line that begins so.
    if !text.contains("@@ -") && !text.contains("diff --git ") {
        return None;
    }
    let at =
        lines(text).find(|(_, line)| line.starts_with("@@ -") || line.starts_with("diff --git "));
    let message = "this is a patch, and not the file that it changes";
    Some(fault(text, at?.0, message).help("apply it with `git apply`, and keep it elsewhere"))
}

/// What a line is that is no YAML, from the one before that in which the parser noticed something.
pub(super) fn foreign_line(text: &str, noticed: usize) -> Option<YamlFault> {
    let is_fence = |line: &str| line.starts_with("```") || line.starts_with("~~~");
    if let Some((at, _)) = lines(text).find(|(at, line)| *at <= noticed && is_fence(line)) {
        let message = "not valid YAML: this line is from Markdown, where it is around code";
        return Some(fault(text, at, message).help("remove it, and the one behind the code"));
    }
    let is_change = |line: &str| {
        let rest = line.strip_prefix(['+', '-']).unwrap_or_default();
        rest.starts_with("  ") || line.starts_with('+') && rest.starts_with(char::is_alphanumeric)
    };
    let has_new = lines(text).any(|(_, line)| line.starts_with('+') && is_change(line));
    let (at, _) = lines(text).find(|(_, line)| has_new && is_change(line))?;
    let message =
        "not valid YAML: this line is from a patch, where `+` and `-` begin what it changes";
    Some(
        fault(text, at, message)
            .help("remove the `+` of the new lines, and the lines that begin with `-`"),
    )
}

/// Each line with its place.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    })
}

fn is_page(text: &str) -> bool {
    let tag = text.strip_prefix('<');
    // `<<` merges mappings.
    tag.is_some_and(|tag| {
        tag.starts_with(|first: char| first.is_ascii_alphabetic() || "!?".contains(first))
    }) && text.contains('>')
}

fn fault(text: &str, at: usize, message: &str) -> YamlFault {
    let end = text[at..].find(['\r', '\n']).map_or(text.len(), |length| at + length);
    YamlFault::new(ProblemCode::YamlSyntax, Span::of(text, at..end), message)
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[track_caller]
    fn check(text: &str, line: u32, why: &str) {
        let faults = parse(text).faults;
        let said = format!("{faults:?}");
        assert_eq!(faults.iter().map(|fault| fault.line()).collect::<Vec<_>>(), [line], "{said}");
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn what_is_no_yaml_is_named_once_at_its_first_line() {
        let yaml = "a:\n  - b: 1\n    c: 2\n";
        let added: String = yaml.lines().map(|line| format!("+{line}\n")).collect();
        check(&format!("```yaml\n{yaml}```\n"), 1, "Markdown");
        check(&format!("{yaml}```\n"), 4, "Markdown");
        check(&format!("~~~\n{yaml}~~~\n"), 1, "Markdown");
        check(
            &format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,3 @@\n{added}"),
            1,
            "a patch",
        );
        check(&format!("--- a/x\n+++ b/x\n@@ -0,0 +1,3 @@\n{added}"), 3, "a patch");
        check("a:\n  - b: 1\n-    c: 2\n+    c: 3\n", 3, "from a patch");
        check("<!DOCTYPE html>\n<html><body>x: y</body></html>\n", 1, "HTML");
        check("\n<html>\n<p>hi: there</p>\n</html>\n", 2, "HTML");
        check("<?xml version='1.0'?>\n<a: b/>\n", 1, "HTML");
    }

    #[test]
    fn what_looks_alike_is_yaml() {
        for text in [
            "a: |\n  ```\n  <html>\n  @@ -1 +1 @@\n  diff --git a b\n",
            "<<: {a: b}\n",
            "-   a: 1\n-   b: 2\n",
            "a: '@@ -1'\n",
            "a: <b>\n",
        ] {
            assert!(parse(text).faults.is_empty(), "{text}");
        }
    }
}
