// Answers for each line of standard input, `{"expression", "zone", "after", "count"}`, with the next
// occurrences in whole seconds since 1970, or `null` where `croner` takes it for no expression.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Cron } = await import(pathToFileURL(process.argv[2]));

function answer({ expression, zone, after, count }) {
  try {
    const cron = new Cron(expression, { timezone: zone, paused: true });
    return cron.nextRuns(count, new Date(after * 1000)).map((occurrence) => occurrence.getTime() / 1000);
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(answer(JSON.parse(line))));
}
