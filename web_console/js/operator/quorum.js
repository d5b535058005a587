// What an action does to a group's majority, said before it is done.

/** Commands that only a cluster with chaos allowed takes, beside those it always takes. */
const CHAOS = ["pause", "resume", "isolate", "heal"];

/** What a person can do to a replica in each state, the usual thing first. */
const OFFERED = {
  alive: ["restart", "kill", "pause", "isolate"],
  dead: ["start"],
  paused: ["resume", "restart", "kill"],
  unreachable: ["heal", "restart", "kill", "start"],
};

const TAKEN_AWAY = ["kill", "pause", "isolate", "restart"];

/** What stops for whom while a group has no majority. */
const LOST = {
  shard: "carts and orders of its users cannot change until one is back",
  inventory: "nobody can check out and no stock can change until one is back",
  balancer: "nobody can register, and names not met before cannot log in, "
    + "until one is back",
};

const DOES = {
  kill: "stops at once, as in a crash; it catches up when it is started again",
  pause: "hangs: it keeps its connections and answers nothing",
  isolate: "is cut off from everybody, without anybody being told",
  restart: "stops and comes back at once; it catches up from the others",
  start: "comes back and catches up from the others",
  resume: "goes on where it hung",
  heal: "can be reached again and catches up",
  transfer: "becomes the leader in good order; writes wait for a moment",
};

/** What to call a group in a sentence: "it" would be another word. */
export function groupName({ kind, name }) {
  return kind === "inventory" ? "the inventory" : name;
}

/** A text that begins a sentence. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The commands to offer for `replica`, given whether chaos is allowed. */
export function offered(replica, chaos) {
  const all = OFFERED[replica.state] ?? [];
  return all.filter((command) => chaos || !CHAOS.includes(command));
}

/** Say what `command` does to the group: sentences, and counts of the living.
 *
 *  `loses` is true where a majority is there now and would be gone.
 */
export function effect(command, replica, group) {
  const before = group.alive;
  const lives = replica.state === "alive";
  const taken = TAKEN_AWAY.includes(command);
  let after = before;
  if (lives && taken) after -= 1;
  else if (!lives && command !== "kill") after += 1;
  return {
    after,
    loses: before >= group.majority && after < group.majority,
    does: `${replica.name} ${DOES[command]}.`,
    quorum: quorum(command, group, before, after),
    election: lives && taken && group.leader === replica.name && after >= group.majority
      ? `It leads ${groupName(group)}: another is elected, and what is asked of the group`
        + " waits that long."
      : "",
  };
}

function quorum(command, group, before, after) {
  const { majority, kind } = group;
  const size = group.members.length;
  const moment = command === "restart" && after < before;
  // Names of shards stay as they are: s1, not S1.
  const name = kind === "inventory" ? sentence(groupName(group)) : group.name;
  const counts = `${name} will have ${after} of ${size}`
    + (moment ? " for a moment" : "");
  if (after < majority && before < majority) {
    return `${counts}: it still has no majority, ${LOST[kind]}.`;
  }
  if (after < majority) return `${counts}: it loses its majority, ${LOST[kind]}.`;
  if (before < majority) return `${counts}: it has a majority again.`;
  if (after === size) return `${counts}: all of it.`;
  return `${counts}: it keeps its majority.`;
}

/** In words how a group stands: the text beside its quorum bar. */
export function standing(group) {
  const { alive, majority, members } = group;
  if (alive < majority) return `no majority: ${alive} of ${members.length} alive`;
  if (alive === members.length) return `all ${alive} alive`;
  const spare = alive - majority;
  return `${alive} of ${members.length} alive, `
    + (spare ? `${spare} may still fail` : "none may fail now");
}
