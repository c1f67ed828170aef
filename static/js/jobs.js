// Jobs tell how far they are: figures change in place, and the page is loaded again once a job changes its state.

const source = document.querySelector("[data-jobs]");

const show = (row, job) => {
  for (const part of row.querySelectorAll("[data-part]")) {
    const value = job[part.dataset.part];
    if (part.tagName !== "PROGRESS") part.textContent = value;
    else if (value !== null) part.value = value;
  }
};

const look = async () => {
  const answer = await fetch(source.dataset.jobs, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const { jobs } = await answer.json();
  for (const job of jobs) {
    const row = document.querySelector(`[data-job="${CSS.escape(job.id)}"]`);
    if (!row) continue;
    if (row.dataset.status !== job.status) {
      location.reload();
      return;
    }
    show(row, job);
  }
  setTimeout(look, 1000);
};

// A node that is away for a moment comes back.
const again = () => look().catch(() => setTimeout(again, 3000));
setTimeout(again, 500);
