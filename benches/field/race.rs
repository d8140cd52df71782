//! Several ways to do one thing, measured in turns: A B C, then A C B, … so that noise affects all, and none always follows the
//! same neighbour.

use std::time::{Duration, Instant};

/// The times of one way so far, in seconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Times `work`.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.add(began.elapsed());
        done
    }

    /// Adds a time that was measured elsewhere.
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64());
    }
}

/// One way: its name in the tables, and what it does in its turn.
pub(crate) struct Way<'a> {
    name: String,
    turn: Box<dyn FnMut(&mut Times) + 'a>,
    most: usize,
}

impl<'a> Way<'a> {
    pub(crate) fn new(name: &str, turn: impl FnMut(&mut Times) + 'a) -> Self {
        Way {
            name: name.to_owned(),
            turn: Box::new(turn),
            most: usize::MAX,
        }
    }

    /// Limits the number of its turns, because it takes so long.
    pub(crate) fn at_most(mut self, rounds: usize) -> Self {
        self.most = rounds;
        self
    }
}

/// The values of one way: seconds, or whatever else was counted.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// In the order of measurement.
    values: Vec<f64>,
    /// How many turns it had; each has measured as many as the others.
    turns: usize,
}

impl Series {
    pub(crate) fn new(name: &str, values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "{name} was never measured");
        Series {
            name: name.to_owned(),
            turns: values.len(),
            values,
        }
    }

    fn of_turns(name: &str, values: Vec<f64>, turns: usize) -> Self {
        Series {
            turns,
            ..Series::new(name, values)
        }
    }

    pub(crate) fn minimum(&self) -> f64 {
        self.values.iter().copied().fold(f64::MAX, f64::min)
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// The value below which `part` of all values are.
    pub(crate) fn at(&self, part: f64) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * part).round() as usize]
    }

    pub(crate) fn maximum(&self) -> f64 {
        self.values.iter().copied().fold(f64::MIN, f64::max)
    }

    /// This over `other`: the median of the ratios of all rounds. A machine that is slow for a while is slow for both.
    pub(crate) fn paired(&self, other: &Series) -> f64 {
        let rounds = self.turns.min(other.turns);
        let of = |series: &Series, round: usize| {
            let turn = series.values.len() / series.turns;
            median(series.values[round * turn..(round + 1) * turn].to_vec())
        };
        median((0..rounds).map(|n| of(self, n) / of(other, n)).collect())
    }

    /// The same for each of `by` items.
    pub(crate) fn divided(&self, by: f64) -> Self {
        let values = self.values.iter().map(|value| value / by);
        Series::of_turns(&self.name, values.collect(), self.turns)
    }

    pub(crate) fn named(&self, name: &str) -> Self {
        Series::of_turns(name, self.values.clone(), self.turns)
    }

    pub(crate) fn count(&self) -> usize {
        self.values.len()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        0 => (values[half - 1] + values[half]) / 2.0,
        _ => values[half],
    }
}

/// Gives each way its turn in each of `rounds`, after one that is not counted.
pub(crate) fn race(what: &str, rounds: usize, mut ways: Vec<Way<'_>>) -> Vec<Series> {
    let began = Instant::now();
    // A way with few turns because it takes so long is not warmed up, either.
    for way in ways.iter_mut().filter(|way| way.most >= rounds) {
        (way.turn)(&mut Times::default());
    }
    let series = unwarmed(rounds, ways);
    crate::say(&format!(
        "{what}: {rounds} rounds, {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    series
}

/// [`race`] for ways that take so long that a warm-up would be a waste.
pub(crate) fn unwarmed(rounds: usize, mut ways: Vec<Way<'_>>) -> Vec<Series> {
    let mut times: Vec<Times> = ways.iter().map(|_| Times::default()).collect();
    let count = ways.len();
    for round in 0..rounds {
        for place in 0..count {
            // In alternating order, so that none always has the same predecessor.
            let place = if round % 2 == 0 {
                place
            } else {
                count - 1 - place
            };
            let n = (place + round) % count;
            if round < ways[n].most {
                (ways[n].turn)(&mut times[n]);
            }
        }
    }
    let both = ways.iter().zip(times);
    both.map(|(way, times)| Series::of_turns(&way.name, times.0, rounds.min(way.most)))
        .collect()
}
