//! Expressions as trees of pieces of text, made from the grammar by a seed.

use std::collections::BTreeMap;

use super::grammar::{Sort, UNITS, leaves, rules};

/// A reproducible source of choices: splitmix64 by Steele, Lea and Flood.
pub(crate) struct Choice(u64);

impl Choice {
    /// The choices of one case of one run.
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        let mut choice = Self(seed ^ case.wrapping_mul(0x2545_f491_4f6c_dd1d));
        choice.next();
        choice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A text literal of a few pieces.
    fn text(&mut self) -> String {
        let pieces: String = (0..self.below(6)).map(|_| self.of(UNITS)).collect();
        format!("'{pieces}'")
    }

    /// A number literal of any size; negative ones are in parentheses, to stand before `**`.
    fn number(&mut self) -> String {
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let number = match self.below(6) {
            0 => f64::from_bits(self.next()),
            1 => fraction * 10_f64.powi(self.below(40) as i32 - 20),
            2 => (fraction * 1e6).round() / 100.0,
            3 => (fraction * 2000.0).round() / 8.0,
            4 => (fraction * 9_007_199_254_740_992.0).round(),
            _ => (fraction * 300.0).round(),
        };
        if number.is_nan() {
            return "NaN".to_owned();
        }
        if number.is_infinite() {
            return "Infinity".to_owned();
        }
        if self.one_in(3) {
            format!("(-{number:e})")
        } else {
            format!("{number:?}")
        }
    }

    /// What may stand for a blank between two tokens.
    fn blank(&mut self) -> &'static str {
        if self.one_in(40) {
            self.of(&[
                "\n",
                "\t",
                " /* ) */ ",
                "\u{a0}",
                "\u{feff}",
                " // '\n",
                "\r\n",
                "\u{2028}",
            ])
        } else {
            " "
        }
    }
}

/// A piece of an expression.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    Tree(Tree),
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) parts: Vec<Part>,
    /// Whether it stands in parentheses; without, operators bind as they like.
    grouped: bool,
}

impl Tree {
    pub(crate) fn leaf(text: &str) -> Self {
        Self {
            parts: vec![Part::Text(text.to_owned())],
            grouped: false,
        }
    }

    /// A tree with these trees between the texts, which are one more.
    pub(crate) fn of(texts: &[&str], trees: Vec<Tree>) -> Self {
        let mut trees = trees.into_iter().map(Part::Tree);
        let mut parts = Vec::new();
        for text in texts {
            parts.push(Part::Text((*text).to_owned()));
            parts.extend(trees.next());
        }
        Self {
            parts,
            grouped: false,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if self.grouped {
            out.push('(');
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Tree(tree) => tree.write(out),
            }
        }
        if self.grouped {
            out.push(')');
        }
    }

    /// The trees right below this one.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Tree> {
        self.parts.iter().filter_map(|part| match part {
            Part::Tree(tree) => Some(tree),
            Part::Text(_) => None,
        })
    }

    /// How many trees it has, with itself.
    pub(crate) fn size(&self) -> usize {
        1 + self.children().map(Tree::size).sum::<usize>()
    }

    /// The tree with that number, counted from the root, each before its children.
    pub(crate) fn at(&self, number: usize) -> Option<&Tree> {
        if number == 0 {
            return Some(self);
        }
        let mut left = number - 1;
        for child in self.children() {
            let size = child.size();
            if left < size {
                return child.at(left);
            }
            left -= size;
        }
        None
    }

    /// This tree with another in place of the one with that number.
    pub(crate) fn with(&self, number: usize, new: &Tree) -> Tree {
        if number == 0 {
            return Tree {
                grouped: self.grouped || new.grouped,
                ..new.clone()
            };
        }
        let mut changed = self.clone();
        let mut left = number - 1;
        for part in &mut changed.parts {
            let Part::Tree(child) = part else { continue };
            let size = child.size();
            if left < size {
                *child = child.with(left, new);
                break;
            }
            left -= size;
        }
        changed
    }
}

/// What trees are made of.
pub(crate) struct Grammar {
    rules: Vec<(Sort, &'static str)>,
    leaves: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Grammar {
    pub(crate) fn read() -> Self {
        Self {
            rules: rules(),
            leaves: leaves(),
        }
    }

    fn leaves(&self, mark: &str) -> &[&'static str] {
        let leaves = self.leaves.get(mark);
        leaves.unwrap_or_else(|| panic!("no leaves for {mark}"))
    }
}

/// Makes trees; it knows the names that are bound where it is.
pub(crate) struct Maker<'c> {
    grammar: &'c Grammar,
    choice: &'c mut Choice,
    /// Names of parameters in reach.
    names: Vec<String>,
    /// How many names were given.
    given: usize,
}

impl<'c> Maker<'c> {
    pub(crate) fn new(grammar: &'c Grammar, choice: &'c mut Choice) -> Self {
        Self {
            grammar,
            choice,
            names: Vec::new(),
            given: 0,
        }
    }

    /// An expression of that sort, at most `depth` rules deep.
    pub(crate) fn tree(&mut self, sort: Sort, depth: usize) -> Tree {
        if depth == 0 || self.choice.one_in(6) {
            return self.leaf(sort);
        }
        let rules: Vec<_> = self
            .grammar
            .rules
            .iter()
            .filter(|rule| rule.0 == sort)
            .collect();
        let template = self.choice.of(&rules).1;
        let mut tree = Tree {
            parts: Vec::new(),
            grouped: false,
        };
        let mut rest = template;
        while let Some(at) = rest.find('#') {
            let (before, place) = rest.split_at(at);
            tree.parts.push(Part::Text(self.spaced(before)));
            let (mark, after) = place[1..].split_at(1);
            rest = after;
            if let Some(sort) = Sort::of(mark) {
                let mut child = self.tree(sort, depth - 1);
                // What has a member or is called must be a whole; else the text decides.
                let whole = rest.starts_with(['.', '?', '[', '(']);
                child.grouped = child.parts.len() > 1 && (whole || !self.choice.one_in(3))
                    || whole && sort == Sort::Number;
                tree.parts.push(Part::Tree(child));
            } else if let Some(body) = Sort::of(&mark.to_uppercase()) {
                tree.parts.push(Part::Tree(self.arrow(body, depth - 1)));
            } else {
                let texts = self.grammar.leaves(mark);
                tree.parts
                    .push(Part::Text(self.choice.of(texts).to_owned()));
            }
        }
        tree.parts.push(Part::Text(rest.to_owned()));
        tree
    }

    /// A rule's text with other blanks; inside of literals, before `=>` and after `return` they have
    /// a meaning (a value on the next line is lost in JavaScript, and refused here).
    fn spaced(&mut self, text: &str) -> String {
        if text.contains(['\'', '`', '=']) || text.contains("return") {
            return text.to_owned();
        }
        let mut words = text.split(' ');
        let mut out = words.next().unwrap_or_default().to_owned();
        for word in words {
            out.push_str(self.choice.blank());
            out.push_str(word);
        }
        out
    }

    fn leaf(&mut self, sort: Sort) -> Tree {
        // A parameter may hold anything.
        if !self.names.is_empty() && self.choice.one_in(2) {
            let at = self.choice.below(self.names.len());
            return Tree::leaf(&self.names[at]);
        }
        match sort {
            Sort::Text if self.choice.one_in(2) => return Tree::leaf(&self.choice.text()),
            Sort::Number if self.choice.one_in(3) => return Tree::leaf(&self.choice.number()),
            _ => {}
        }
        let sort = match sort {
            Sort::Any => self.choice.of(&Sort::PLAIN),
            sort => sort,
        };
        Tree::leaf(self.choice.of(self.grammar.leaves(sort.mark())))
    }

    fn name(&mut self) -> String {
        self.given += 1;
        let name = format!("v{}", self.given);
        self.names.push(name.clone());
        name
    }

    /// An arrow, with parameters of many shapes.
    fn arrow(&mut self, body: Sort, depth: usize) -> Tree {
        let known = self.names.len();
        let mut tree = Tree {
            parts: Vec::new(),
            grouped: false,
        };
        let text = |tree: &mut Tree, text: &str| tree.parts.push(Part::Text(text.to_owned()));
        match self.choice.below(9) {
            0 => text(&mut tree, "() => "),
            1 => {
                let (item, index) = (self.name(), self.name());
                text(&mut tree, &format!("({item}, {index}) => "));
            }
            2 => {
                let (item, index, all) = (self.name(), self.name(), self.name());
                text(&mut tree, &format!("({item}, {index}, {all}) => "));
            }
            3 => {
                let default = self.tree(Sort::Any, depth.min(1));
                let (first, rest) = (self.name(), self.name());
                text(&mut tree, &format!("([{first} = "));
                tree.parts.push(Part::Tree(default));
                text(&mut tree, &format!(", , ...{rest}]) => "));
            }
            4 => {
                let default = self.tree(Sort::Any, depth.min(1));
                let (field, rest) = (self.name(), self.name());
                let key = self.choice.of(self.grammar.leaves("k"));
                text(&mut tree, &format!("({{ {key}: {field} = "));
                tree.parts.push(Part::Tree(default));
                text(&mut tree, &format!(", ...{rest} }}) => "));
            }
            5 => {
                let all = self.name();
                text(&mut tree, &format!("(...{all}) => "));
            }
            _ => {
                let item = self.name();
                text(&mut tree, &format!("{item} => "));
            }
        }
        let mut body = self.tree(body, depth);
        // `=> {` would begin a block.
        body.grouped = true;
        tree.parts.push(Part::Tree(body));
        self.names.truncate(known);
        tree
    }
}
