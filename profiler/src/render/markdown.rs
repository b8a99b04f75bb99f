//! Pieces of Markdown in which no name is markup.

/// A text at the beginning of a line, or of an item of a list.
#[must_use]
pub fn line(text: &str) -> String {
    // There these make a list, a rule or a head of what stands above.
    if text.starts_with(['-', '+', '=', '#']) { format!("\\{}", inline(text)) } else { inline(text) }
}

/// A text inside of a line.
#[must_use]
pub fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if "\\`*_[]<>&|~$".contains(c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// A table: the names of its columns, and whether they are of words, which stand to the left; below them rows of as many
/// cells.
pub fn table(heads: impl Iterator<Item = (String, bool)>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let (names, are_text): (Vec<_>, Vec<_>) = heads.unzip();
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| inline(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rules: Vec<_> = are_text.iter().map(|is_text| if *is_text { "---" } else { "---:" }).collect();
    let head = [row(&names), format!("| {} |", rules.join(" | "))];
    head.into_iter().chain(rows.map(|cells| row(&cells))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_list_or_a_head_does_so_only_where_a_line_begins() {
        assert_eq!((line("- 1 # a"), inline("- 1 # a")), (r"\- 1 # a".to_owned(), "- 1 # a".to_owned()));
        assert_eq!((line("#1"), line("1 | $a$")), (r"\#1".to_owned(), r"1 \| \$a\$".to_owned()));
    }

    #[test]
    fn a_cell_cannot_end_its_column() {
        let heads = [("name", true), ("n", false)].map(|(name, is_text)| (name.to_owned(), is_text));
        let row = ["a|b", "-1"].map(str::to_owned).to_vec();
        let expected = "| name | n |\n| --- | ---: |\n| a\\|b | -1 |";
        assert_eq!(table(heads.into_iter(), [row].into_iter()), expected);
    }
}
