//! Owns columns of text that line up on a terminal, whatever the width of the characters.
//! Refuses borders and wrapping: a row is a line.

use unicode_width::UnicodeWidthStr;

/// `rows` as lines, each indented by `indent` spaces, the cells of a column below one another.
pub(super) fn columns(rows: &[Vec<String>], indent: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn wide_characters_take_two_places() {
        let rows = [["日本", "x"], ["abc", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows, 2), "  日本  x\n  abc   y\n");
    }

    #[test]
    fn rows_may_be_shorter_than_others() {
        let rows = vec![vec!["a".to_owned()], vec!["bb".to_owned(), "c".to_owned()]];
        assert_eq!(columns(&rows, 0), "a\nbb  c\n");
        assert_eq!(columns(&[], 2), "");
    }
}
