// What browsers have kept of the shop's own script for a month: it asks every five seconds, and writes what it is answered.
class PollingDashboard {
  start() {
    this.poll();
    setInterval(() => this.poll(), 5000);
  }

  async poll() {
    const query = new URLSearchParams();
    for (const name of ["status", "date_from", "date_to"]) {
      const value = document.getElementById(name)?.value;
      if (value) query.append(name, value);
    }
    const page = document.querySelector(".pagination .page-item.active .page-link")?.textContent.match(/Page (\d+)/)?.[1] ?? "1";
    if (page !== "1") query.append("page", page);
    const response = await fetch(`/orders/api/sales-rep/dashboard/?${query}`, { headers: { "X-Requested-With": "XMLHttpRequest" } });
    if (!response.ok) return;
    const { statistics, orders_by_status, orders } = await response.json();
    for (const name of ["total_orders", "pending_orders", "processing_orders", "delivered_orders", "cancelled_orders"]) {
      document.getElementById(`stat-${name.replace("_", "-")}`).textContent = statistics[name];
    }
    document.getElementById("stat-total-revenue").textContent = "₱" + parseFloat(statistics.total_revenue).toFixed(2);
    for (const [code, { count }] of Object.entries(orders_by_status)) {
      document.getElementById(`status-count-${code}`).textContent = count;
    }
    for (const row of document.querySelectorAll("#orders-table-tbody tr")) {
      const id = row.querySelector("a")?.getAttribute("href").match(/orders\/orders\/(\d+)/)?.[1];
      const order = orders.find((one) => one.id === Number(id));
      if (!order) continue;
      row.cells[2].innerHTML = `<span class="badge bg-info">${order.status_display}</span>`;
      row.cells[3].innerHTML = `<span class="badge bg-info">${order.payment_status_display}</span>`;
    }
  }
}

new PollingDashboard().start();
