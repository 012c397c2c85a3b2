//! Long queues, quickly: one genuine message, and its variants made inside of the server.

use super::{Celery, Publish};
use crate::failure::{Failure, Result};
use crate::redis::RedisServer;

/// Copies the genuine element of a list, below the copies that were made before, each time with ids of its own, and pushes the copies as
/// kombu does.
const SCRIPT: &str = "
local message = redis.call('LINDEX', KEYS[1], tonumber(ARGV[1]) - 1)
local decoded = cjson.decode(message)
local old = {[ARGV[3]] = true, [decoded['properties']['delivery_tag']] = true}
local function cut(text)
  local parts, at = {}, 1
  while true do
    local first, last, id = nil, nil, nil
    for candidate in pairs(old) do
      local a, b = string.find(text, candidate, at, true)
      if a and (not first or a < first) then first, last, id = a, b, candidate end
    end
    if not first then break end
    parts[#parts + 1] = string.sub(text, at, first - 1)
    parts[#parts + 1] = id
    at = last + 1
  end
  parts[#parts + 1] = string.sub(text, at)
  return parts
end
local parts = cut(message)
for n = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  local copy = {}
  for i, part in ipairs(parts) do
    if part == ARGV[3] then copy[i] = string.format('%08x-feed-4000-8000-%012x', n, n)
    elseif old[part] then copy[i] = string.format('%08x-7a90-4000-8000-%012x', n, n)
    else copy[i] = part end
  end
  redis.call('LPUSH', KEYS[1], table.concat(copy))
end
return redis.call('LLEN', KEYS[1])
";

/// How many at a time: a script may not run longer than five seconds.
const AT_A_TIME: usize = 20_000;

/// The id of the n-th copy, the first being number 1: it was published first of them and is the next of them to run.
pub fn filled_id(n: usize) -> String {
    format!("{n:08x}-feed-4000-8000-{n:012x}")
}

impl Celery {
    /// Publishes one message and makes `count - 1` copies of it, numbered from 1. Returns the id of the genuine one. Some two
    /// seconds for 300 000; the queue must be one that nobody consumes.
    pub fn fill(&self, redis: &RedisServer, what: &Publish, count: usize) -> Result<String> {
        let before = keys(redis)?;
        let id = self.try_publish(std::slice::from_ref(what))?.pop().ok_or_else(|| Failure::new("nothing was published"))?;
        // Which list it went to is kombu's to know: priority, separator and prefix decide.
        let after = keys(redis)?;
        let key = after.into_iter().find(|(key, length)| *length > before.iter().find(|(k, _)| k == key).map_or(0, |(_, l)| *l));
        let (key, _) = key.ok_or_else(|| Failure::new("no list has grown: is somebody consuming it, or is it in another database?"))?;
        let (mut done, count) = (1, count.max(1));
        while done < count {
            let now = (count - done).min(AT_A_TIME);
            redis.try_cli(&["EVAL", SCRIPT, "1", &key, &done.to_string(), &now.to_string(), &id])?;
            done += now;
        }
        Ok(id)
    }
}

/// The lists of database 0 and their lengths.
fn keys(redis: &RedisServer) -> Result<Vec<(String, u64)>> {
    const LISTS: &str = "
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'list' then found[#found + 1] = key; found[#found + 1] = redis.call('LLEN', key) end
end
return found";
    let text = redis.try_cli(&["EVAL", LISTS, "0"])?;
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.chunks_exact(2).filter_map(|pair| Some((pair.first()?.to_string(), pair.get(1)?.parse().ok()?))).collect())
}
