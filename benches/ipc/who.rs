//! By whom something is done, and with whom that is compared.

/// A guest does the same by calls of the host, or in mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// This program.
    Native,
    /// A guest in Rust.
    Call,
    Mapping,
    /// The C program, built for this machine.
    C,
    CCall,
    CMapping,
    GoCall,
    Python,
    PythonCall,
    PythonMapping,
    JsCall,
    JsMapping,
}

/// The columns of a table: who is native, and the guests of a language.
pub struct Language {
    pub name: &'static str,
    pub native: Who,
    pub guests: &'static [Who],
}

pub const LANGUAGES: [Language; 5] = [
    Language {
        name: "Rust",
        native: Who::Native,
        guests: &[Who::Call, Who::Mapping],
    },
    Language {
        name: "C",
        native: Who::C,
        guests: &[Who::CCall, Who::CMapping],
    },
    Language {
        name: "Go",
        native: Who::C,
        guests: &[Who::GoCall],
    },
    Language {
        name: "Python",
        native: Who::Python,
        guests: &[Who::PythonCall, Who::PythonMapping],
    },
    Language {
        name: "JavaScript",
        native: Who::Python,
        guests: &[Who::JsCall, Who::JsMapping],
    },
];

impl Who {
    pub const ALL: [Self; 12] = [
        Self::Native,
        Self::Call,
        Self::Mapping,
        Self::C,
        Self::CCall,
        Self::CMapping,
        Self::GoCall,
        Self::Python,
        Self::PythonCall,
        Self::PythonMapping,
        Self::JsCall,
        Self::JsMapping,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Call => "guest, calls",
            Self::Mapping => "guest, mapping",
            Self::C => "native C",
            Self::CCall => "C guest, calls",
            Self::CMapping => "C guest, mapping",
            Self::GoCall => "Go guest, calls",
            Self::Python => "CPython",
            Self::PythonCall => "Python guest, calls",
            Self::PythonMapping => "Python guest, mapping",
            Self::JsCall => "JavaScript guest, calls",
            Self::JsMapping => "JavaScript guest, mapping",
        }
    }

    /// Whether it has grants with `map`.
    pub fn maps(self) -> bool {
        matches!(
            self,
            Self::Mapping | Self::CMapping | Self::PythonMapping | Self::JsMapping
        )
    }
}
