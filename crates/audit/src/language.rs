//! Which language a file is in: by its name, else by its first line.

/// A language whose sources are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Language {
    /// C, headers too.
    C,
    /// C++.
    Cpp,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// Java.
    Java,
    /// JavaScript and TypeScript.
    JavaScript,
    /// Perl.
    Perl,
    /// Bourne shells.
    Shell,
    /// Configuration: `key = value`, `key value`, YAML, TOML, INI, units of systemd.
    Config,
    /// SQL: read for the width of columns only.
    Sql,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 11] = [
        Self::C,
        Self::Cpp,
        Self::Go,
        Self::Rust,
        Self::Python,
        Self::Java,
        Self::JavaScript,
        Self::Perl,
        Self::Shell,
        Self::Config,
        Self::Sql,
    ];

    /// The language of a file, by its path and its first octets; `None` where it is in none of these.
    pub fn of(path: &str, bytes: &[u8]) -> Option<Self> {
        Self::by_name(path).or_else(|| Self::by_first_line(bytes))
    }

    /// The language that a file's name promises.
    pub fn by_name(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name {
            "Dockerfile" | "Containerfile" | "sshd_config" | "ssh_config" => return Some(Self::Config),
            "configure" | "config.status" | "ltmain.sh" => return None,
            _ => {}
        }
        // A template is in the language of what it becomes.
        let name = name.strip_suffix(".in").or_else(|| name.strip_suffix(".example")).unwrap_or(name);
        let (stem, extension) = name.rsplit_once('.')?;
        Some(match extension {
            "c" | "h" => Self::C,
            "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "ipp" | "inl" | "C" => Self::Cpp,
            "go" => Self::Go,
            "rs" => Self::Rust,
            "py" | "pyw" | "pyi" => Self::Python,
            "java" => Self::Java,
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Self::JavaScript,
            "pl" | "pm" | "PL" => Self::Perl,
            "sh" | "bash" | "ksh" | "zsh" | "dash" => Self::Shell,
            "sql" => Self::Sql,
            "conf" | "cfg" | "cnf" | "ini" | "toml" | "yaml" | "yml" | "properties" | "service"
            | "socket" | "network" | "netdev" | "env" => Self::Config,
            // Of JSON only what names itself a configuration: the rest is data.
            "json" if stem.contains("config") || stem.contains("settings") => Self::Config,
            _ => return None,
        })
    }

    fn by_first_line(bytes: &[u8]) -> Option<Self> {
        let line = bytes.strip_prefix(b"#!")?;
        let line = &line[..line.iter().position(|octet| *octet == b'\n').unwrap_or(line.len()).min(100)];
        let line = std::str::from_utf8(line).ok()?;
        let program = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
        let program = program
            .into_iter()
            .find(|word| *word != "env" && *word != "busybox" && !word.starts_with('-'))?;
        Some(match program {
            "pl" | "pm" | "PL" => Self::Perl,
            "sh" | "bash" | "dash" | "ksh" | "zsh" | "ash" => Self::Shell,
            "node" | "nodejs" | "deno" | "bun" => Self::JavaScript,
            _ if program.starts_with("python") => Self::Python,
            _ if program.starts_with("perl") => Self::Perl,
            _ => return None,
        })
    }

    /// Its name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Go => "Go",
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Java => "Java",
            Self::JavaScript => "JavaScript",
            Self::Perl => "Perl",
            Self::Shell => "shell",
            Self::Config => "configuration",
            Self::Sql => "SQL",
        }
    }

    /// C and what includes its headers.
    pub(crate) fn is_c(self) -> bool {
        matches!(self, Self::C | Self::Cpp)
    }
}
