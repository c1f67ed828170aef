// Times: their texts are of UTC. Where that is wished they are told in the browser's zone, and what they are in UTC is told beside; else
// the other way round.

const isLocal = document.documentElement.dataset.zone === "local";
const zone = new Intl.DateTimeFormat([], { timeZoneName: "short" });
const two = (number) => `${number}`.padStart(2, "0");
const clock = (when) => [when.getHours(), when.getMinutes(), when.getSeconds()].map(two).join(":");

/** A moment in the browser's zone, written as the node writes it in UTC. */
function here(when) {
  const name = zone.formatToParts(when).find((part) => part.type === "timeZoneName").value;
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${clock(when)} ${name}`;
}

/** Tells the moment of an element whose text is of UTC. One of a clock alone has all of it as its title. */
export function tell(time) {
  const when = new Date(time.dateTime);
  if (Number.isNaN(when.getTime())) return;
  if (time.dataset.clock !== undefined) {
    if (isLocal) time.textContent = clock(when);
    return;
  }
  const utc = time.textContent;
  if (isLocal) time.textContent = here(when);
  time.title = isLocal ? utc : here(when);
}
