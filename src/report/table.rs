//! Tables that are no wider than the terminal: columns are left out, then cells wrapped between words, and where
//! that would break a word, each row becomes a block with a line for each of its cells.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use unicode_width::UnicodeWidthStr;

use crate::model::Visible;

/// What is between two columns.
const GAP: u16 = 2;

/// Rows below their columns. `least` are the columns that are left out first, one after the other; without a width
/// all are shown.
pub(super) fn fitted(
    columns: &[&str],
    rows: &[Vec<String>],
    least: &[&str],
    width: Option<u16>,
) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let all: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = width else { return table(columns, &rows, &all, None) };
    let widest = widths(columns, &rows, UnicodeWidthStr::width);
    let words = widths(columns, &rows, |cell| {
        cell.split(' ').map(UnicodeWidthStr::width).max().unwrap_or_default()
    });
    let fit = |widths: &[usize], shown: &[usize]| {
        let cells: usize = shown.iter().map(|at| widths[*at]).sum();
        cells + usize::from(GAP) * shown.len().saturating_sub(1) <= usize::from(width)
    };
    let without = |count: usize| -> Vec<usize> {
        all.iter().copied().filter(|at| !least[..count].contains(&columns[*at])).collect()
    };
    let fewer = (0..=least.len()).map(|count| (count, without(count)));
    if let Some((count, shown)) = fewer.into_iter().find(|(_, shown)| fit(&widest, shown)) {
        let mut lines = table(columns, &rows, &shown, None);
        lines.extend(left_out(&least[..count]));
        return lines;
    }
    let shown = without(least.len());
    if !fit(&words, &shown) {
        return blocks(columns, &rows, width);
    }
    let mut lines = table(columns, &rows, &shown, Some((width, &words)));
    lines.extend(left_out(least));
    lines
}

fn shown(cell: &str) -> String {
    match cell {
        "" => "-".to_owned(),
        cell => cell.visible().into_owned(),
    }
}

fn left_out(columns: &[&str]) -> Option<String> {
    let columns = columns.join(", ");
    (!columns.is_empty()).then(|| format!("(too narrow for {columns}: `--format json` shows all)"))
}

/// The most of each column.
fn widths(columns: &[&str], rows: &[Vec<String>], of: impl Fn(&str) -> usize) -> Vec<usize> {
    let widest = |at: usize| {
        let cells = rows.iter().map(|row| of(&row[at]));
        cells.chain([of(columns[at])]).max().unwrap_or_default()
    };
    (0..columns.len()).map(widest).collect()
}

/// The rows, of which only these columns are shown. Cells are wrapped where there is a width, and then no column is
/// narrower than its longest word.
fn table(
    columns: &[&str],
    rows: &[Vec<String>],
    shown: &[usize],
    wrapped: Option<(u16, &[usize])>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(shown.iter().map(|at| columns[*at]));
    for row in rows {
        table.add_row(shown.iter().map(|at| row[*at].as_str()));
    }
    for (column, at) in table.column_iter_mut().zip(shown) {
        column.set_padding((0, GAP));
        if let Some((_, words)) = wrapped {
            let least = u16::try_from(words[*at]).unwrap_or(u16::MAX).saturating_add(GAP);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    if let Some((width, _)) = wrapped {
        // What follows the last column is cut off.
        table.set_width(width + GAP).set_content_arrangement(ContentArrangement::Dynamic);
    }
    lines(&table)
}

/// Each row as lines of its own, with an empty line between two.
fn blocks(columns: &[&str], rows: &[Vec<String>], width: u16) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            table.add_row(["", ""]);
        }
        let cells = columns.iter().zip(row).filter(|(_, cell)| *cell != "-");
        for (column, cell) in cells {
            table.add_row([*column, cell.as_str()]);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.set_width(width + GAP).set_content_arrangement(ContentArrangement::Dynamic);
    lines(&table)
}

fn lines(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::fitted;

    const COLUMNS: [&str; 4] = ["KEY", "NAME", "ID", "STATE"];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        vec![
            row(["spotify-family", "Anna und Bernd", "4f5c0a8e9b", "in sync"]),
            row(["google", "家族のカレンダー 👪", "x", "missing"]),
            row(["", "", "", "foreign"]),
        ]
    }

    #[test]
    fn all_is_shown_where_there_is_room_and_wide_characters_are_aligned() {
        let expected = [
            "KEY             NAME                 ID          STATE",
            "spotify-family  Anna und Bernd       4f5c0a8e9b  in sync",
            "google          家族のカレンダー 👪  x           missing",
            "-               -                    -           foreign",
        ];
        assert_eq!(fitted(&COLUMNS, &rows(), &["ID"], None), expected);
        assert_eq!(fitted(&COLUMNS, &rows(), &["ID"], Some(56)), expected);
    }

    #[test]
    fn columns_are_left_out_then_cells_are_wrapped_between_words() {
        let lines = fitted(&COLUMNS, &rows(), &["ID"], Some(55));
        assert_eq!(lines[0], "KEY             NAME                 STATE");
        assert_eq!(lines[4], "(too narrow for ID: `--format json` shows all)");
        let expected = [
            "KEY             NAME              STATE",
            "spotify-family  Anna und Bernd    in sync",
            "google          家族のカレンダー  missing",
            "                👪",
            "-               -                 foreign",
            "(too narrow for ID: `--format json` shows all)",
        ];
        assert_eq!(fitted(&COLUMNS, &rows(), &["ID"], Some(42)), expected);
    }

    #[test]
    fn no_word_is_broken_in_a_table_and_each_row_is_a_block_instead() {
        let lines = fitted(&COLUMNS, &rows(), &["ID"], Some(30));
        let expected = [
            "KEY    spotify-family",
            "NAME   Anna und Bernd",
            "ID     4f5c0a8e9b",
            "STATE  in sync",
            "",
            "KEY    google",
            "NAME   家族のカレンダー 👪",
            "ID     x",
            "STATE  missing",
            "",
            "STATE  foreign",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 12..80 {
            for line in fitted(&COLUMNS, &rows(), &["ID"], Some(width)) {
                let is_note = line.starts_with('(');
                assert!(is_note || line.width() <= width.into(), "{width}: {line:?}");
            }
        }
    }
}
