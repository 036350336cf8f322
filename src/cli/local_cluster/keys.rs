//! What keys mean: a letter and a node's number, in either order, are an order; nothing else is. Pure.

/// What a person wants done. Nodes count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGKILL: it ends in the middle of whatever it does.
    Kill(usize),
    /// SIGSTOP: its sockets stay open and nobody answers.
    Pause(usize),
    /// SIGCONT.
    Continue(usize),
    /// Stopped in good order if it runs, then started.
    Restart(usize),
    Quit,
}

type Verb = fn(usize) -> Order;

/// The keys pressed since the last order.
#[derive(Debug)]
pub struct Keys {
    nodes: usize,
    verb: Option<(char, Verb)>,
    node: Option<usize>,
}

impl Keys {
    /// `nodes`: 1 to 9, each has a digit.
    pub fn new(nodes: usize) -> Keys {
        Keys { nodes, verb: None, node: None }
    }

    pub fn press(&mut self, key: u8) -> Option<Order> {
        match key.to_ascii_lowercase() {
            b'q' => return Some(Order::Quit),
            b'k' => self.verb = Some(('k', Order::Kill)),
            b'p' => self.verb = Some(('p', Order::Pause)),
            b'c' => self.verb = Some(('c', Order::Continue)),
            b'r' => self.verb = Some(('r', Order::Restart)),
            digit @ b'1'..=b'9' if usize::from(digit - b'0') <= self.nodes => self.node = Some(usize::from(digit - b'1')),
            _ => self.clear(),
        }
        let order = self.verb.zip(self.node).map(|((_, verb), node)| verb(node));
        if order.is_some() {
            self.clear();
        }
        order
    }

    /// What has been pressed of an order that is not whole yet.
    pub fn begun(&self) -> String {
        let verb = self.verb.map(|(letter, _)| letter.to_string());
        let node = self.node.map(|node| (node + 1).to_string());
        verb.into_iter().chain(node).collect()
    }

    fn clear(&mut self) {
        self.verb = None;
        self.node = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(keys: &str) -> Vec<Order> {
        let mut machine = Keys::new(3);
        keys.bytes().filter_map(|key| machine.press(key)).collect()
    }

    #[test]
    fn letter_and_number_come_in_either_order_and_lines_do_as_well() {
        let wanted = [Order::Kill(0), Order::Restart(0), Order::Pause(2), Order::Continue(2), Order::Quit];
        assert_eq!(orders("k1r1p3c3q"), wanted);
        assert_eq!(orders("1k1r3P3Cq"), wanted);
        assert_eq!(orders("k1\nr1\np3\nc3\nq\n"), wanted);
    }

    #[test]
    fn an_order_takes_both_and_is_over_then() {
        assert_eq!(orders("k"), []);
        assert_eq!(orders("123kk"), [Order::Kill(2)]);
        assert_eq!(orders("k4"), [], "there is no node 4");
        assert_eq!(orders("k\u{1b}1"), [], "escape, or any other key, takes it back");
        assert_eq!(orders("kp2"), [Order::Pause(1)], "the last letter counts");
    }

    #[test]
    fn what_is_begun_is_shown() {
        let mut keys = Keys::new(3);
        keys.press(b'2');
        assert_eq!(keys.begun(), "2");
        keys.press(b'k');
        assert_eq!(keys.begun(), "");
    }
}
