// Where the picture of the cluster puts groups and replicas, in pixels.

const GAP = 28;
const TOP = 98; // Of a box, above the middle of its first replica.
const FOOT = 65; // Below the middle of its last one.
const BOX_WIDTH_MIN = 216;
const BOX_WIDTH_MAX = 380;
export const NODE_RADIUS = 23;

/** How far a group's ellipse reaches down from its middle: more where there are more. */
function reach(count) {
  return Math.max(54, 17 * count);
}

/** How high a box is that holds `count` replicas. */
function heightOf(count) {
  const turns = Array.from({ length: count }, (_, n) => (
    Math.sin((2 * Math.PI * n) / count - Math.PI / 2)));
  return Math.round(TOP + reach(count) * (1 + Math.max(0, ...turns)) + FOOT);
}

/** Place groups in a width: balancers left, shards between, the inventory right.
 *
 *  Where there is no room for that: in rows. Gives `{width, height, boxes, linked}`:
 *  `linked` where there is room to show who asks whom; boxes by the group's name as
 *  `{x, y, width, height, nodes}`; nodes by the replica's name as `{x, y, aside}`,
 *  `aside` where its word stands beside it, not below.
 */
export function place(groups, width) {
  const shards = groups.filter((group) => group.kind === "shard");
  const balancers = groups.filter((group) => group.kind === "balancer");
  const inventory = groups.filter((group) => group.kind === "inventory");
  const shardColumns = Math.max(1, Math.ceil(shards.length / 3));
  const columns = shardColumns + 2;
  const room = (width - GAP * (columns - 1)) / columns;
  const high = heightOf(Math.max(...groups.map((group) => group.members.length)));
  const wide = room >= BOX_WIDTH_MIN && groups.length === shards.length + 2;
  return wide
    ? inColumns(balancers[0], shards, inventory[0], shardColumns, room, width, high)
    : inRows(groups, width, high);
}

function inColumns(balancer, shards, inventory, shardColumns, room, width, high) {
  const size = Math.min(BOX_WIDTH_MAX, room);
  const rows = Math.ceil(shards.length / shardColumns);
  const height = rows * high + (rows - 1) * GAP;
  const spread = (width - size) / (shardColumns + 1);
  const middle = (height - high) / 2;
  const boxes = new Map();
  boxes.set(balancer.name, box(balancer, 0, middle, size, high));
  shards.forEach((shard, index) => {
    const x = spread * (1 + Math.floor(index / rows));
    const y = (index % rows) * (high + GAP);
    boxes.set(shard.name, box(shard, x, y, size, high));
  });
  boxes.set(inventory.name, box(inventory, width - size, middle, size, high));
  return { width, height, boxes, linked: shardColumns === 1 };
}

function inRows(groups, width, high) {
  const fitting = Math.max(1, Math.floor((width + GAP) / (BOX_WIDTH_MIN + GAP)));
  const columns = Math.min(fitting, groups.length, 4);
  const gap = GAP / 2;
  const size = (width - gap * (columns - 1)) / columns;
  const boxes = new Map();
  groups.forEach((group, index) => {
    const x = (index % columns) * (size + gap);
    const y = Math.floor(index / columns) * (high + gap);
    boxes.set(group.name, box(group, x, y, size, high));
  });
  const rows = Math.ceil(groups.length / columns);
  return { width, height: rows * high + (rows - 1) * gap, boxes, linked: false };
}

/** A group's place: its members on an ellipse below its name, the first on top. */
function box(group, x, y, width, height) {
  const count = group.members.length;
  const center = { x: x + width / 2, y: y + TOP + reach(count) };
  const across = Math.min(width / 2 - 52, 106);
  const nodes = new Map();
  group.members.forEach((name, index) => {
    const turn = (2 * Math.PI * index) / count - Math.PI / 2;
    nodes.set(name, count === 1 ? { ...center, aside: false } : {
      x: center.x + across * Math.cos(turn),
      y: center.y + reach(count) * Math.sin(turn),
      aside: index === 0,
    });
  });
  return { x, y, width, height, nodes };
}
