//! The programs in the manuals, which are run as they are printed there.

use std::path::{Path, PathBuf};

/// A fenced block of code in a Markdown file.
#[derive(Debug)]
pub struct Example {
    /// What follows the opening fence, as in <code>```python</code>.
    pub language: String,
    /// What is between the fences.
    pub text: String,
    /// Where it begins, as an editor counts lines.
    pub line: usize,
}

impl Example {
    /// Every block of a Markdown file, in order.
    pub fn every(markdown: &Path) -> Vec<Self> {
        let shown = markdown.display();
        let text = std::fs::read_to_string(markdown).unwrap_or_else(|e| panic!("{shown}: {e}"));
        let mut examples = Vec::new();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let Some(language) = line.strip_prefix("```") else {
                continue;
            };
            let block: Vec<&str> = lines
                .by_ref()
                .map(|(line, _)| line)
                .take_while(|line| *line != "```")
                .collect();
            examples.push(Self {
                language: language.to_owned(),
                text: block.join("\n") + "\n",
                line: number + 1,
            });
        }
        examples
    }

    /// The blocks in one language, in order. A manual without any is an error: a test of
    /// its programs would test nothing.
    pub fn all(markdown: &Path, language: &str) -> Vec<Self> {
        let mut examples = Self::every(markdown);
        examples.retain(|example| example.language == language);
        let shown = markdown.display();
        assert!(!examples.is_empty(), "{shown} has no example in {language}");
        examples
    }

    /// The block of a Markdown file that has one of its language.
    pub fn only(markdown: &Path, language: &str) -> Self {
        let mut examples = Self::all(markdown, language);
        let count = examples.len();
        let shown = markdown.display();
        assert_eq!(count, 1, "{shown} has {count} examples in {language}");
        examples.remove(0)
    }

    /// Puts it into a file, to be built or run.
    pub fn save(&self, path: &Path) -> PathBuf {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &self.text).unwrap();
        path.to_owned()
    }

    /// What its comments say that it prints: `# prints TEXT` and `// prints TEXT`, also at
    /// the end of a line of code.
    pub fn prints(&self) -> Vec<&str> {
        let comment = |line| {
            let said = |mark| str::split_once(line, mark).map(|(_, text)| text);
            said("# prints ").or_else(|| said("// prints "))
        };
        self.text.lines().filter_map(comment).collect()
    }

    /// Checks that this is what it printed, line by line.
    #[track_caller]
    pub fn assert_printed(&self, stdout: &str) {
        let printed: Vec<&str> = stdout.lines().collect();
        assert_eq!(printed, self.prints(), "the example of line {}", self.line);
    }
}
