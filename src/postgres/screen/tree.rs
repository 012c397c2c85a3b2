//! What a statement or an expression reaches, read from PostgreSQL's own tree of it (`debug_print_rewritten`, `pg_index.indexprs`, …).
//! Names, search paths, views, row policies and implicit casts are resolved there already. The scan knows fields, not nodes, and takes
//! too much rather than too little: any number that could be the OID of a user's object counts as one.

use std::collections::BTreeSet;

/// The first OID that objects of users can have; smaller ones came with the server.
pub const FIRST_OF_USERS: u32 = 16_384;

/// OIDs in trees. Those in `objects` may be a function's, an operator's, a type's or a relation's, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Functions, by fields that hold nothing else.
    pub functions: BTreeSet<u32>,
    /// Operators likewise.
    pub operators: BTreeSet<u32>,
    /// Every number that an object of a user could have.
    pub objects: BTreeSet<u32>,
}

impl Reach {
    /// Adds what a tree reaches.
    pub fn add(&mut self, tree: &str) {
        let mut field = String::new();
        // The first number after `:constvalue` is a length, the others are bytes.
        for token in Pieces::of(tree) {
            let Piece::Word(word) = token else { continue };
            if let Some(name) = word.strip_prefix(':') {
                name.clone_into(&mut field);
                continue;
            }
            let Some(oid) = word.parse::<u32>().ok().filter(|oid| *oid > 0) else { continue };
            if is_position(&field) {
                continue;
            }
            if names_function(&field) {
                self.functions.insert(oid);
            } else if names_operator(&field) {
                self.operators.insert(oid);
            }
            if oid >= FIRST_OF_USERS {
                self.objects.insert(oid);
            }
        }
    }
}

/// A place in the text, a length or a width: never an OID.
fn is_position(field: &str) -> bool {
    field.ends_with("location")
        || field.ends_with("typmod")
        || matches!(field, "stmt_len" | "list_start" | "list_end" | "constlen" | "constvalue")
}

fn names_function(field: &str) -> bool {
    let other = ["type", "collid", "format", "retset", "variadic", "funcs", "funcname"];
    let named =
        field.contains("func") || field.contains("Func") || field.ends_with("fnoid") || field.contains("handler") || field.contains("proc");
    let counts = ["funccol", "funcparams", "funcordinality"];
    named && !other.iter().any(|end| field.ends_with(end)) && !counts.iter().any(|start| field.starts_with(start))
}

fn names_operator(field: &str) -> bool {
    field.ends_with("op") || field.ends_with("opno") || field.ends_with("opnos") || field.ends_with("Op") || field.ends_with("Operators")
}

/// What the server made of one statement after its rules and policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Into how many statements it was rewritten.
    pub statements: usize,
    /// Whether one of them is a command without a plan.
    pub utility: bool,
    /// Whether rows are changed, at any depth.
    pub writes: bool,
    /// Whether rows are locked, at any depth.
    pub locks: bool,
    /// Whether the tree was read to its end with every bracket closed.
    pub whole: bool,
}

impl Shape {
    /// Reads the tree of a statement.
    pub fn of(tree: &str) -> Self {
        let mut shape = Self::default();
        let mut field = String::new();
        let mut open: Vec<char> = Vec::new();
        let mut entered = false;
        let mut closed = true;
        for piece in Pieces::of(tree) {
            match piece {
                Piece::Open(bracket) => {
                    entered = bracket == '{';
                    if field == "rowMarks" && bracket == '(' {
                        shape.locks = true;
                    }
                    open.push(bracket);
                    continue;
                }
                Piece::Close(bracket) => {
                    let matching = if bracket == '}' { '{' } else { '(' };
                    closed &= open.pop() == Some(matching);
                }
                Piece::Word(word) => {
                    if entered && word == "QUERY" && open.len() == 2 {
                        shape.statements += 1;
                    }
                    if let Some(name) = word.strip_prefix(':') {
                        name.clone_into(&mut field);
                    } else {
                        match field.as_str() {
                            "commandType" => shape.writes |= word != "1",
                            "utilityStmt" => shape.utility |= word != "<>",
                            "hasForUpdate" => shape.locks |= word != "false",
                            "hasModifyingCTE" => shape.writes |= word != "false",
                            _ => {}
                        }
                    }
                }
            }
            entered = false;
        }
        shape.whole = closed && open.is_empty();
        shape
    }

    /// Whether it is one statement that only reads.
    pub fn only_reads(&self) -> bool {
        self.whole && self.statements == 1 && !self.utility && !self.writes && !self.locks
    }
}

enum Piece<'t> {
    Open(char),
    Close(char),
    Word(&'t str),
}

/// Cut as the server's own reader cuts it: by white space and brackets, a backslash before what is meant literally.
struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Pieces<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let bytes = self.text.as_bytes();
        self.at += bytes.iter().skip(self.at).take_while(|b| b.is_ascii_whitespace()).count();
        let start = self.at;
        let first = *bytes.get(start)?;
        self.at += 1;
        match first {
            b'(' | b'{' => return Some(Piece::Open(char::from(first))),
            b')' | b'}' => return Some(Piece::Close(char::from(first))),
            b'\\' => self.at += 1,
            _ => {}
        }
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'(' | b')' | b'{' | b'}' => break,
                b if b.is_ascii_whitespace() => break,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(bytes.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Some(Piece::Word(self.text.get(start..self.at).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TREE: &str = "({QUERY :commandType 1 :utilityStmt <> :hasForUpdate false :rtable ({RANGETBLENTRY :alias {ALIAS :aliasname a\\ b\\}} \
        :relid 16536 :inh true}) :jointree {FROMEXPR :quals {OPEXPR :opno 96 :opfuncid 65 :opresulttype 16 :args ({FUNCEXPR :funcid 16544 \
        :funcresulttype 23 :location 20000} {CONST :consttypmod 655366 :constvalue 40000 [ 1 0 ]}) :location 86}} :rowMarks <> \
        :stmt_len 17000})";

    #[test]
    fn functions_operators_and_objects_are_found_and_positions_are_not() {
        let mut reach = Reach::default();
        reach.add(TREE);
        assert_eq!(reach.functions, [65, 16544].into());
        assert_eq!(reach.operators, [96].into());
        assert_eq!(reach.objects, [16536, 16544].into());
    }

    #[test]
    fn a_read_is_told_from_a_write_at_any_depth() {
        assert!(Shape::of(TREE).only_reads());
        assert!(Shape::of(&TREE.replace(":rowMarks <>", ":rowMarks ({ROWMARKCLAUSE :rti 1})")).locks);
        let cte = TREE.replace(":rowMarks", ":cteList ({COMMONTABLEEXPR :ctequery {QUERY :commandType 4}}) :rowMarks");
        assert!(Shape::of(&cte).writes && Shape::of(&cte).statements == 1);
        assert!(Shape::of(&TREE.replace(":utilityStmt <>", ":utilityStmt ?")).utility);
        assert_eq!(Shape::of(&format!("({} {})", TREE.trim_matches(['(', ')']), TREE.trim_matches(['(', ')']))).statements, 2);
        assert!(!Shape::of(TREE.get(..TREE.len() - 40).expect("ASCII")).only_reads());
    }

    #[test]
    fn a_name_cannot_hide_what_follows() {
        for name in ["\\(\\(\\(", ":funcid", "\\{QUERY", "\\\\", "\\\n", "\\}\\)"] {
            let tree = TREE.replace("a\\ b\\}", name);
            let mut reach = Reach::default();
            reach.add(&tree);
            assert!(reach.functions.contains(&16544), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_tree_is_too_odd(text in r"([ a-zA-Z0-9:(){}<>\\ß\n\[\]]|:funcid |\{QUERY ){0,80}") {
            let mut reach = Reach::default();
            reach.add(&text);
            let _ = Shape::of(&text);
        }
    }
}
