//! What came of the attacks, for people and as JSON.

use super::{
    case::{Answer, Attack, Control},
    evidence::Evidence,
    suite::Asking,
};
use crate::Outcome;
use serde::Serialize;
use std::fmt;

/// The most that is kept of what somebody was told.
const SHORT: usize = 400;

/// How it stands with the control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlResult {
    /// It succeeded, as it must.
    Succeeded,
    /// There is none, for this reason.
    Impossible(String),
    /// It obtained nothing, so the attack shows nothing; what was said.
    Empty(String),
    /// It could not be carried out.
    Broken(String),
}

/// How it stands with the attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttackResult {
    /// Nothing was obtained; the sentence that said why, where there was one.
    Refused(Option<String>),
    /// Nothing was obtained, and nothing right was said, where something should have been.
    Unexplained(String),
    /// Something was: what.
    Succeeded(String),
    /// It could not be carried out.
    Broken(String),
}

/// One attack and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Its name.
    attack: &'static str,
    /// Its room.
    room: &'static str,
    /// Who did it.
    attacker: String,
    /// What was done.
    act: &'static str,
    /// What should have come of it.
    expected: &'static str,
    /// Without Cofferdam.
    control: ControlResult,
    /// With it.
    result: AttackResult,
}

impl Line {
    /// Judges what came of both sides.
    pub(super) fn judge(
        attack: &Attack,
        control: Option<Outcome<Evidence>>,
        guarded: Outcome<Evidence>,
    ) -> Self {
        Line {
            attack: attack.name,
            room: attack.room(),
            attacker: attack.attacker.to_string(),
            act: attack.act,
            expected: attack.expected,
            control: judge_control(attack, control),
            result: judge_attack(attack, guarded),
        }
    }

    /// Whether it stands as it must.
    fn holds(&self) -> bool {
        let control = matches!(
            self.control,
            ControlResult::Succeeded | ControlResult::Impossible(_)
        );
        control && matches!(self.result, AttackResult::Refused(_))
    }

    /// For the run: its name, and all that is not as it must be.
    pub(super) fn short(&self) -> String {
        let mut text = format!("attack {} ... {}", self.attack, self.result_word());
        match &self.control {
            ControlResult::Empty(why) => text += &format!("\n  the control is empty: {why}"),
            ControlResult::Broken(why) => text += &format!("\n  the control broke: {why}"),
            _ => {}
        }
        match &self.result {
            AttackResult::Unexplained(why) | AttackResult::Succeeded(why) | AttackResult::Broken(why) => {
                text += &format!("\n  {why}");
            }
            AttackResult::Refused(_) => {}
        }
        text
    }

    fn control_word(&self) -> &'static str {
        match self.control {
            ControlResult::Succeeded => "succeeds",
            ControlResult::Impossible(_) => "–",
            ControlResult::Empty(_) => "EMPTY",
            ControlResult::Broken(_) => "BROKEN",
        }
    }

    fn result_word(&self) -> &'static str {
        match self.result {
            AttackResult::Refused(Some(_)) => "refused",
            AttackResult::Refused(None) => "finds nothing",
            AttackResult::Unexplained(_) => "UNEXPLAINED",
            AttackResult::Succeeded(_) => "SUCCEEDED",
            AttackResult::Broken(_) => "BROKEN",
        }
    }

    fn cells(&self) -> [&str; 4] {
        [
            self.attack,
            &self.attacker,
            self.control_word(),
            self.result_word(),
        ]
    }
}

fn judge_control(attack: &Attack, control: Option<Outcome<Evidence>>) -> ControlResult {
    match (attack.control, control) {
        (Control::Impossible(why), _) => ControlResult::Impossible(why.to_owned()),
        (Control::WherePrivileged, None) => {
            ControlResult::Impossible("this machine lets no container be privileged".to_owned())
        }
        (Control::Succeeds, None) => ControlResult::Broken("it was not carried out".to_owned()),
        (_, Some(Err(failure))) => ControlResult::Broken(failure.to_string()),
        (_, Some(Ok(evidence))) => match evidence.obtained {
            Some(_) => ControlResult::Succeeded,
            None => ControlResult::Empty(shortened(&evidence.said)),
        },
    }
}

fn judge_attack(attack: &Attack, guarded: Outcome<Evidence>) -> AttackResult {
    let evidence = match guarded {
        Ok(evidence) => evidence,
        Err(failure) => return AttackResult::Broken(failure.to_string()),
    };
    if let Some(what) = &evidence.obtained {
        return AttackResult::Succeeded(format!("{what}: {}", shortened(&evidence.said)));
    }
    let sentence = evidence.sentence().map(shortened);
    match (attack.answer, sentence) {
        (Answer::Nothing, sentence) => AttackResult::Refused(sentence),
        (Answer::Sentence(words), Some(sentence))
            if words.iter().all(|word| evidence.said.contains(word)) =>
        {
            AttackResult::Refused(Some(sentence))
        }
        (Answer::Sentence(_), _) => AttackResult::Unexplained(shortened(&evidence.said)),
    }
}

/// The end of it, where it is long; with nothing in it that a terminal would obey.
fn shortened(text: &str) -> String {
    // Archives are full of zeros.
    let letters: Vec<char> = text.trim().chars().filter(|letter| *letter != '\0').collect();
    let end = letters
        .get(letters.len().saturating_sub(SHORT)..)
        .unwrap_or_default();
    let plain = |letter: &char| match letter {
        '\n' => "\n".to_owned(),
        letter if letter.is_control() => letter.escape_default().to_string(),
        letter => letter.to_string(),
    };
    end.iter().map(plain).collect()
}

/// All of them.
#[derive(Debug)]
pub struct Report {
    asking: Asking,
    attacks: Vec<Line>,
}

impl Report {
    /// Of none yet.
    pub(super) fn new(asking: Asking) -> Self {
        Report {
            asking,
            attacks: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, line: Line) {
        self.attacks.push(line);
    }

    /// Whether every attack was refused, and none was empty.
    pub(super) fn holds(&self) -> bool {
        !self.attacks.is_empty() && self.attacks.iter().all(Line::holds)
    }

    /// The same facts as JSON.
    pub(super) fn json(&self) -> Outcome<String> {
        let refused = self.count(|line| matches!(line.result, AttackResult::Refused(_)));
        let facts = serde_json::json!({
            "authz_plugin": self.asking == Asking::On,
            "attacks": self.attacks.len(),
            "refused": refused,
            "succeeded": self.count(|line| matches!(line.result, AttackResult::Succeeded(_))),
            "holds": self.holds(),
            "each": self.attacks,
        });
        Ok(serde_json::to_string_pretty(&facts)? + "\n")
    }

    fn count(&self, of: impl Fn(&Line) -> bool) -> usize {
        self.attacks.iter().filter(|line| of(line)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["attack", "attacker", "control", "result"];
        let mut widths = head.map(|cell| cell.chars().count());
        for line in &self.attacks {
            for (width, cell) in widths.iter_mut().zip(line.cells()) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for cells in std::iter::once(head).chain(self.attacks.iter().map(Line::cells)) {
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, "{cell:width$}  ")?;
            }
            writeln!(f)?;
        }
        let refused = self.count(|line| matches!(line.result, AttackResult::Refused(_)));
        let succeeded = self.count(|line| matches!(line.result, AttackResult::Succeeded(_)));
        writeln!(
            f,
            "\n{} attacks {}, {refused} refused, {succeeded} succeeded",
            self.attacks.len(),
            match self.asking {
                Asking::On => "with the AuthZ plugin",
                Asking::Off => "without the AuthZ plugin",
            }
        )?;
        let unexplained = self.count(|line| matches!(line.result, AttackResult::Unexplained(_)));
        let broken = self.count(|line| {
            matches!(line.result, AttackResult::Broken(_)) || matches!(line.control, ControlResult::Broken(_))
        });
        let empty = self.count(|line| matches!(line.control, ControlResult::Empty(_)));
        if unexplained + broken + empty > 0 {
            writeln!(
                f,
                "{unexplained} refused without the right word, {empty} empty, {broken} broken"
            )?;
        }
        Ok(())
    }
}
